"""One OpenAI request to an engine, asked again while that makes sense: what the workers of queues and batches share."""

from engineclient.answers import Answer, EngineUnavailable, Usage, usage_of
from engineclient.client import EngineClient

__all__ = ["Answer", "EngineClient", "EngineUnavailable", "Usage", "usage_of"]

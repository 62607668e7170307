"""What the operator knows of each inference server: one file per server, one function to find it."""

from llmendpoint.api.serving import EngineType
from llmendpoint.engines.facts import EngineFacts
from llmendpoint.engines.sglang import SGLANG
from llmendpoint.engines.tgi import TGI
from llmendpoint.engines.vllm import VLLM

_ENGINES: dict[EngineType, EngineFacts] = {"vLLM": VLLM, "TGI": TGI, "SGLang": SGLANG}


def engine_for(kind: EngineType) -> EngineFacts:
    """The facts of an engine type."""
    return _ENGINES[kind]

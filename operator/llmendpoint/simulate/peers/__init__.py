"""The autoscalers of the field, from their published algorithms, to be replayed beside the operator's own."""

from llmendpoint.simulate.peers.table import PEERS

__all__ = ["PEERS"]

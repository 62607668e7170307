"""The shape of an engine's /metrics, to compare a simulated engine with a real one."""

import re

from enginesim.options import parse as options_of
from enginesim.vllm_metrics import VllmMetrics


def simulated_vllm() -> str:
    """What the simulator shows of a vLLM that has nothing to do."""
    metrics = VllmMetrics(options_of(["vllm", "serve", "m", "--served-model-name=tiny"], {}))
    return metrics.text(running=0, waiting=0, kv_usage=0.0).decode()


def families(text: str) -> dict[str, str]:
    """Type by name of vLLM's own metrics."""
    return dict(re.findall(r"^# TYPE (vllm:\S+) (\S+)", text, re.MULTILINE))


def bounds(text: str, name: str) -> list[str]:
    """Upper bounds of a histogram's buckets."""
    return re.findall(rf'^vllm:{name}_bucket{{[^}}]*le="([^"]+)"', text, re.MULTILINE)

"""The metric families of SGLang 0.5.23, as its source has them: tokens are counted when a request is finished.

https://docs.sglang.ai/references/production_metrics.html
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from enginesim.batching import Request
from enginesim.options import Options

TTFT = (0.1, 0.2, 0.4, 0.6, 0.8, 1, 2, 4, 6, 8, 10, 20, 40, 60, 80, 100, 200, 400)
LATENCY = (*TTFT, 600, 1200, 1800, 2400)
PER_TOKEN = (
    0.002, 0.004, 0.006, 0.008, 0.01, 0.015, 0.02, 0.025, 0.03, 0.035, 0.04, 0.06, 0.08, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 2,
    4, 6, 8,
)  # fmt: skip
QUEUE = (
    0, 0.001, 0.005, 0.01, 0.05, 0.1, 0.2, 0.5, 1, 2, 3, 4, 5, 10, 15, 20, 30, 40, 50, 60, 70, 80, 90, 100, 200, 300,
    400, 500, 600, 700, 800, 900, 1000, 1200, 1400, 1600, 1800, 2000, 2500, 3000,
)  # fmt: skip
# The server's front counts requests, by whether they stream; the scheduler of each rank counts what it does.
FRONT, SCHEDULER = ("model_name", "engine_type"), ("model_name", "engine_type", "tp_rank", "pp_rank", "moe_ep_rank")
STREAMING = (*FRONT, "is_streaming")
HISTOGRAMS = {
    "time_to_first_token_seconds": (STREAMING, TTFT),
    "inter_token_latency_seconds": (FRONT, PER_TOKEN),
    "e2e_request_latency_seconds": (STREAMING, LATENCY),
    "queue_time_seconds": (SCHEDULER, QUEUE),
}
COUNTERS = {
    "prompt_tokens": STREAMING,
    "generation_tokens": STREAMING,
    "num_requests": STREAMING,
    "num_aborted_requests": FRONT,
    "cuda_graph_passes": (*SCHEDULER, "mode"),
}
GAUGES = ("num_running_reqs", "num_queue_reqs", "token_usage", "max_total_num_tokens")


class SglangMetrics:
    """What one server of one rank shows. Gauges are there from the start: it warms up before it is ready."""

    def __init__(self, options: Options) -> None:
        self._capacity = options.hardware.kv_tokens
        self._registry = CollectorRegistry()
        self._labels = dict.fromkeys(SCHEDULER, "0") | {"model_name": options.served_names[0], "engine_type": "unified"}
        self._counters = {
            name: Counter(f"sglang:{name}", name, labels, registry=self._registry) for name, labels in COUNTERS.items()
        }
        self._gauges = {name: Gauge(f"sglang:{name}", name, SCHEDULER, registry=self._registry) for name in GAUGES}
        self._histograms = {
            name: Histogram(f"sglang:{name}", name, labels, buckets=buckets, registry=self._registry)
            for name, (labels, buckets) in HISTOGRAMS.items()
        }

    def step(self, batch: int, tokens: int) -> None:
        """One step was made. A real one makes passes of their own for prompts; here they ride along."""
        self._add("cuda_graph_passes", 1, mode="decode_cuda_graph" if tokens == batch else "prefill_none")

    def token(self, request: Request, now: float) -> None:
        """A request got a token."""
        if request.first_token is None:
            self._observe("time_to_first_token_seconds", now - request.arrived, is_streaming=_streaming(request))
            self._observe("queue_time_seconds", (request.started or now) - request.arrived)
        else:
            self._observe("inter_token_latency_seconds", now - request.last_token)

    def finished(self, request: Request, now: float, reason: str) -> None:
        """A request is done."""
        if reason == "abort":
            self._add("num_aborted_requests", 1)
            return
        streaming = _streaming(request)
        self._add("num_requests", 1, is_streaming=streaming)
        self._add("prompt_tokens", request.prompt_tokens, is_streaming=streaming)
        self._add("generation_tokens", request.generated, is_streaming=streaming)
        self._observe("e2e_request_latency_seconds", now - request.arrived, is_streaming=streaming)

    def rejected(self) -> None:
        """A request was refused because the queue is full."""
        self._add("num_aborted_requests", 1)

    def text(self, *, running: int, waiting: int, kv_usage: float) -> bytes:
        """What /metrics answers."""
        for name, value in zip(GAUGES, (running, waiting, kv_usage, self._capacity), strict=True):
            self._gauges[name].labels(**self._of(SCHEDULER)).set(value)
        return generate_latest(self._registry)

    def _add(self, name: str, amount: float, **own: str) -> None:
        self._counters[name].labels(**self._of(COUNTERS[name], **own)).inc(amount)

    def _observe(self, name: str, value: float, **own: str) -> None:
        self._histograms[name].labels(**self._of(HISTOGRAMS[name][0], **own)).observe(value)

    def _of(self, labels: tuple[str, ...], **own: str) -> dict[str, str]:
        known = self._labels | own
        return {label: known[label] for label in labels}


def _streaming(request: Request) -> str:
    return "true" if request.streams else "false"

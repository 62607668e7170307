"""The metric families of SGLang 0.5, as its source names them: tokens are counted when a request is finished.

https://docs.sglang.ai/references/production_metrics.html
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from enginesim.batching import Request
from enginesim.options import Options

LATENCY = (0.1, 0.2, 0.4, 0.6, 0.8, 1, 2, 4, 6, 8, 10, 20, 40, 60, 80, 100, 200, 400, 800)
PER_TOKEN = (
    0.002, 0.004, 0.006, 0.008, 0.01, 0.015, 0.02, 0.025, 0.03, 0.035, 0.04, 0.06, 0.08, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 2,
    4, 6, 8,
)  # fmt: skip
QUEUE = (0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 3, 4, 5, 10, 15, 20, 30, 40, 50, 100, 200, 400, 800)
HISTOGRAMS = {
    "time_to_first_token_seconds": LATENCY,
    "inter_token_latency_seconds": PER_TOKEN,
    "e2e_request_latency_seconds": LATENCY,
    "queue_time_seconds": QUEUE,
}
COUNTERS = ("prompt_tokens", "generation_tokens", "num_requests", "num_aborted_requests")
GAUGES = ("num_running_reqs", "num_queue_reqs", "token_usage", "max_total_num_tokens")


class SglangMetrics:
    """What one scheduler shows. A family has its series from the first value on."""

    def __init__(self, options: Options) -> None:
        self._capacity = options.hardware.kv_tokens
        self._registry = CollectorRegistry()
        labels = {"model_name": options.served_names[0], "engine_type": "unified"}
        labels |= dict.fromkeys(("tp_rank", "pp_rank", "moe_ep_rank"), "0")
        self._labels = labels
        names = list(labels)
        self._counters = {name: Counter(f"sglang:{name}", name, names, registry=self._registry) for name in COUNTERS}
        self._gauges = {name: Gauge(f"sglang:{name}", name, names, registry=self._registry) for name in GAUGES}
        self._histograms = {
            name: Histogram(f"sglang:{name}", name, names, buckets=buckets, registry=self._registry)
            for name, buckets in HISTOGRAMS.items()
        }
        self._used = False

    def step(self, _batch: int, _tokens: int) -> None:
        """One step was made."""
        self._used = True

    def token(self, request: Request, now: float) -> None:
        """A request got a token."""
        if request.first_token is None:
            self._observe("time_to_first_token_seconds", now - request.arrived)
            self._observe("queue_time_seconds", (request.started or now) - request.arrived)
        else:
            self._observe("inter_token_latency_seconds", now - request.last_token)

    def finished(self, request: Request, now: float, reason: str) -> None:
        """A request is done."""
        if reason == "abort":
            self._add("num_aborted_requests", 1)
            return
        self._add("num_requests", 1)
        self._add("prompt_tokens", request.prompt_tokens)
        self._add("generation_tokens", request.generated)
        self._observe("e2e_request_latency_seconds", now - request.arrived)

    def rejected(self) -> None:
        """A request was refused because the queue is full."""
        self._add("num_aborted_requests", 1)

    def text(self, *, running: int, waiting: int, kv_usage: float) -> bytes:
        """What /metrics answers."""
        if self._used or waiting:
            for name, value in zip(GAUGES, (running, waiting, kv_usage, self._capacity), strict=True):
                self._gauges[name].labels(**self._labels).set(value)
        return generate_latest(self._registry)

    def _add(self, name: str, amount: float) -> None:
        self._counters[name].labels(**self._labels).inc(amount)

    def _observe(self, name: str, value: float) -> None:
        self._histograms[name].labels(**self._labels).observe(value)

"""The metric families of TGI 3.3: no labels, no TTFT, and nothing at all before the first request.

Names: https://huggingface.co/docs/text-generation-inference/reference/metrics
"""

from collections import Counter
from collections.abc import Iterator

from enginesim.batching import Request
from enginesim.options import Options

DURATION = tuple(0.001 * 1.5**power for power in range(35))
SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 4000, 8000)


class TgiMetrics:
    """Counters that begin to exist when they are first touched, as those of the Rust exporter do."""

    def __init__(self, options: Options) -> None:
        self._capacity = options.hardware.kv_tokens
        self._counts: Counter[str] = Counter()
        self._observations: dict[str, list[float]] = {}
        self._sums: Counter[str] = Counter()
        self._used = False

    def step(self, _batch: int, _tokens: int) -> None:
        """One step was made."""
        self._used = True
        self._counts['tgi_batch_inference_success{method="decode"}'] += 1

    def token(self, request: Request, now: float) -> None:
        """TGI counts tokens at completion only."""

    def finished(self, request: Request, now: float, reason: str) -> None:
        """A request is done."""
        self._counts["tgi_request_count"] += 1
        if reason == "abort" or request.started is None:
            return
        self._counts["tgi_request_success"] += 1
        self._observe("tgi_request_queue_duration", request.started - request.arrived, DURATION)
        self._observe("tgi_request_inference_duration", now - request.started, DURATION)
        self._observe("tgi_request_duration", now - request.arrived, DURATION)
        per_token = (now - request.started) / max(request.generated, 1)
        self._observe("tgi_request_mean_time_per_token_duration", per_token, DURATION)
        self._observe("tgi_request_generated_tokens", request.generated, SIZES)
        self._observe("tgi_request_input_length", request.prompt_tokens, SIZES)

    def rejected(self) -> None:
        """A request was refused because too many are there."""
        self._counts['tgi_request_failure{err="overloaded"}'] += 1

    def text(self, *, running: int, waiting: int, kv_usage: float) -> bytes:
        """What /metrics answers."""
        return "".join(f"{line}\n" for line in self._lines(running, waiting, kv_usage)).encode()

    def _lines(self, running: int, waiting: int, kv_usage: float) -> Iterator[str]:
        if self._used or waiting:
            gauges = {
                "tgi_queue_size": waiting,
                "tgi_batch_current_size": running,
                "tgi_batch_current_max_tokens": round(kv_usage * self._capacity),
                "tgi_batch_max_total_tokens": self._capacity,
            }
            for name, value in gauges.items():
                yield f"# TYPE {name} gauge"
                yield f"{name} {value}"
        for name, count in self._counts.items():
            yield f"# TYPE {name.partition('{')[0]} counter"
            yield f"{name} {count}"
        for name, counts in self._observations.items():
            yield f"# TYPE {name} histogram"
            bounds = DURATION if name.endswith("duration") else SIZES
            for bound, below in zip((*bounds, float("inf")), counts, strict=True):
                yield f'{name}_bucket{{le="{"+Inf" if bound == float("inf") else bound}"}} {below:g}'
            yield f"{name}_sum {self._sums[name]}"
            yield f"{name}_count {counts[-1]:g}"

    def _observe(self, name: str, value: float, bounds: tuple[float, ...]) -> None:
        counts = self._observations.setdefault(name, [0.0] * (len(bounds) + 1))
        for index, bound in enumerate((*bounds, float("inf"))):
            counts[index] += value <= bound
        self._sums[name] += value  # type: ignore[assignment]  # Counter takes floats as well

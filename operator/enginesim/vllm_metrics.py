"""The metric families of vLLM 0.32.0, as recorded from a real server: names, types, labels, buckets."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from enginesim.batching import Request
from enginesim.options import Options

TOKENS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)
STEP_TOKENS = (1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)
TTFT = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
    160.0, 640.0, 2560.0,
)  # fmt: skip
PER_TOKEN = (
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
)  # fmt: skip
LATENCY = (
    0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0, 960.0,
    1920.0, 7680.0,
)  # fmt: skip

COUNTERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "estimated_flops_per_gpu": ("", ()),
    "estimated_read_bytes_per_gpu": ("", ()),
    "estimated_write_bytes_per_gpu": ("", ()),
    "prefix_cache_queries": ("", ()),
    "prefix_cache_hits": ("", ()),
    "external_prefix_cache_queries": ("", ()),
    "external_prefix_cache_hits": ("", ()),
    "mm_cache_queries": ("", ()),
    "mm_cache_hits": ("", ()),
    "num_preemptions": ("", ()),
    "prompt_tokens": ("", ()),
    "prompt_tokens_by_source": ("source", ("local_compute", "local_cache_hit", "external_kv_transfer")),
    "prompt_tokens_cached": ("", ()),
    "prompt_tokens_cached_by_source": ("source", ("device", "host", "disk", "p2p", "external_unspecified")),
    "generation_tokens": ("", ()),
    "request_success": ("finished_reason", ("stop", "length", "abort", "error", "repetition")),
    "admission_rejections": ("reason", ("max_num_queued_reqs", "max_num_queued_tokens")),
}
GAUGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "num_requests_running": ("", ()),
    "num_requests_waiting": ("", ()),
    "num_requests_waiting_by_reason": ("reason", ("capacity", "deferred")),
    "engine_sleep_state": ("sleep_state", ("awake", "weights_offloaded", "discard_all")),
    "kv_cache_usage_perc": ("", ()),
}
HISTOGRAMS: dict[str, tuple[float, ...]] = {
    "request_prompt_tokens": TOKENS,
    "request_generation_tokens": TOKENS,
    "iteration_tokens_total": STEP_TOKENS,
    "request_max_num_generation_tokens": TOKENS,
    "request_params_n": (1, 2, 5, 10, 20),
    "request_params_max_tokens": TOKENS,
    "time_to_first_token_seconds": TTFT,
    "inter_token_latency_seconds": PER_TOKEN,
    "request_time_per_output_token_seconds": PER_TOKEN,
    "e2e_request_latency_seconds": LATENCY,
    "request_queue_time_seconds": LATENCY,
    "request_inference_time_seconds": LATENCY,
    "request_prefill_time_seconds": LATENCY,
    "request_decode_time_seconds": LATENCY,
    "request_num_preemptions": (1, 2, 3, 4, 5, 10, 20),
    "request_prefill_kv_computed_tokens": TOKENS,
}
BLOCK_SIZE = 16
ADAPTER_LABELS = ("max_lora", "waiting_lora_adapters", "running_lora_adapters")


class VllmMetrics:
    """What a real vLLM would show of the same requests, recorded at the same moments."""

    def __init__(self, options: Options) -> None:
        self._registry = CollectorRegistry()
        self._labels = {"engine": "0", "model_name": options.served_names[0]}
        self._counters = {
            name: self._children(
                Counter(
                    f"vllm:{name}", name, ["engine", "model_name", *filter(None, [label])], registry=self._registry
                ),
                label,
                values,
            )
            for name, (label, values) in COUNTERS.items()
        }
        self._gauges = {
            name: self._children(
                Gauge(f"vllm:{name}", name, ["engine", "model_name", *filter(None, [label])], registry=self._registry),
                label,
                values,
            )
            for name, (label, values) in GAUGES.items()
        }
        self._histograms = {
            name: Histogram(
                f"vllm:{name}", name, ["engine", "model_name"], buckets=buckets, registry=self._registry
            ).labels(**self._labels)
            for name, buckets in HISTOGRAMS.items()
        }
        blocks = options.hardware.kv_tokens // BLOCK_SIZE
        info = {
            "engine": "0", "block_size": str(BLOCK_SIZE), "num_gpu_blocks": str(blocks),
            "kv_cache_size_tokens": str(options.hardware.kv_tokens), "gpu_memory_utilization": "0.92",
            "kv_cache_max_concurrency": f"{options.hardware.kv_tokens / options.max_model_len:.3f}",
        }  # fmt: skip
        Gauge("vllm:cache_config_info", "cache_config_info", list(info), registry=self._registry).labels(**info).set(1)
        self._max_loras = options.max_loras
        self._adapters = (
            Gauge("vllm:lora_requests_info", "lora_requests_info", ADAPTER_LABELS, registry=self._registry)
            if options.updates_adapters
            else None
        )

    def _children(self, family: Counter | Gauge, label: str, values: tuple[str, ...]) -> dict[str, Counter | Gauge]:
        """One child per label value, made at once: vLLM shows them from the start."""
        if not label:
            return {"": family.labels(**self._labels)}
        return {value: family.labels(**self._labels, **{label: value}) for value in values}

    def _add(self, name: str, amount: float, value: str = "") -> None:
        self._counters[name][value].inc(amount)

    def step(self, _batch: int, tokens: int) -> None:
        """One step was made."""
        self._histograms["iteration_tokens_total"].observe(tokens)

    def token(self, request: Request, now: float) -> None:
        """A request got a token. Waiting requests are not in the TTFT histogram yet."""
        self._add("generation_tokens", 1)
        if request.first_token is None:
            self._histograms["time_to_first_token_seconds"].observe(now - request.arrived)
            self._add("prompt_tokens", request.prompt_tokens)
            self._add("prompt_tokens_by_source", request.prompt_tokens, "local_compute")
            self._add("prefix_cache_queries", request.prompt_tokens)
        else:
            self._histograms["inter_token_latency_seconds"].observe(now - request.last_token)

    def finished(self, request: Request, now: float, reason: str) -> None:
        """A request is done. What vLLM counts at completion is counted here; an abort is not counted at all."""
        if reason == "abort" or request.started is None or request.first_token is None:
            return
        self._add("request_success", 1, reason)
        decode = now - request.first_token
        observed = {
            "request_prompt_tokens": request.prompt_tokens,
            "request_generation_tokens": request.generated,
            "request_max_num_generation_tokens": request.max_tokens,
            "request_params_n": 1,
            "request_params_max_tokens": request.max_tokens,
            "request_time_per_output_token_seconds": decode / max(request.generated - 1, 1),
            "e2e_request_latency_seconds": now - request.arrived,
            "request_queue_time_seconds": request.started - request.arrived,
            "request_inference_time_seconds": now - request.started,
            "request_prefill_time_seconds": request.first_token - request.started,
            "request_decode_time_seconds": decode,
            "request_num_preemptions": 0,
            "request_prefill_kv_computed_tokens": request.prompt_tokens,
        }
        for name, value in observed.items():
            self._histograms[name].observe(value)

    def rejected(self) -> None:
        """A request was refused because the queue is full."""
        self._add("admission_rejections", 1, "max_num_queued_reqs")

    def adapters(self, running: set[str], waiting: set[str]) -> None:
        """Of which adapters requests run and wait: labels, whose value is the time."""
        if self._adapters is not None:
            names = (",".join(sorted(some)) for some in (waiting, running))
            self._adapters.labels(str(self._max_loras), *names).set_to_current_time()

    def text(self, *, running: int, waiting: int, kv_usage: float) -> bytes:
        """What /metrics answers."""
        gauges = self._gauges
        gauges["num_requests_running"][""].set(running)  # type: ignore[union-attr]
        gauges["num_requests_waiting"][""].set(waiting)  # type: ignore[union-attr]
        gauges["num_requests_waiting_by_reason"]["capacity"].set(waiting)  # type: ignore[union-attr]
        gauges["engine_sleep_state"]["awake"].set(1)  # type: ignore[union-attr]
        gauges["kv_cache_usage_perc"][""].set(kv_usage)  # type: ignore[union-attr]
        return generate_latest(self._registry)

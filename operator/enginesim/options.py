"""The engines' own command lines, reduced to what changes how a server looks from outside.

Every other argument is accepted and ignored, as long as it looks like one. The model of the hardware is set by
ENGINESIM_* environment variables; ENGINESIM_QUOTES=1 makes the answers quotations of their prompts.
"""

import argparse
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from enginesim.group import Nodes

Flavour = Literal["vllm", "tgi", "sglang"]


@dataclass(frozen=True)
class Hardware:
    """How fast the simulated accelerator is; defaults are near an 8 B model on an A10G.

    One step of the engine takes ``iteration + per_sequence * sequences + prompt tokens / prefill_rate +
    per_cached_token * tokens of these sequences in the KV cache`` seconds.
    """

    startup: float = 5.0
    """Seconds from start to the open port."""
    iteration: float = 0.03
    per_sequence: float = 0.0005
    prefill_rate: float = 6000.0
    """Prompt tokens per second."""
    per_cached_token: float = 0.0
    kv_tokens: int = 80_000
    """Tokens that fit into the KV cache."""
    exit: float = 1.0
    """Seconds from the last token to the exit of a drained process."""

    def step_seconds(self, *, sequences: int, prompt_tokens: int, cached_tokens: int) -> float:
        """Time of one step."""
        return (
            self.iteration
            + self.per_sequence * sequences
            + prompt_tokens / self.prefill_rate
            + self.per_cached_token * cached_tokens
        )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Hardware":
        """Read ENGINESIM_STARTUP_SECONDS, _ITERATION_SECONDS, _PER_SEQUENCE_SECONDS, _PREFILL_RATE,
        _PER_CACHED_TOKEN_SECONDS, _KV_TOKENS and _EXIT_SECONDS.

        Raises:
            ValueError: a variable is not a number.
        """

        def number(name: str, default: float) -> float:
            text = environment.get(f"ENGINESIM_{name}")
            try:
                return default if text is None else float(text)
            except ValueError as error:
                raise ValueError(f"ENGINESIM_{name} must be a number, not {text!r}") from error

        return cls(
            startup=number("STARTUP_SECONDS", cls.startup),
            iteration=number("ITERATION_SECONDS", cls.iteration),
            per_sequence=number("PER_SEQUENCE_SECONDS", cls.per_sequence),
            prefill_rate=number("PREFILL_RATE", cls.prefill_rate),
            per_cached_token=number("PER_CACHED_TOKEN_SECONDS", cls.per_cached_token),
            kv_tokens=int(number("KV_TOKENS", cls.kv_tokens)),
            exit=number("EXIT_SECONDS", cls.exit),
        )


@dataclass(frozen=True)
class Options:
    """One server."""

    flavour: Flavour
    model: str
    served_names: tuple[str, ...]
    host: str
    port: int
    max_sequences: int
    max_batched_tokens: int
    """Tokens that one step takes at most."""
    max_model_len: int
    max_queued: int | None
    drain: float
    """Seconds that streams get after SIGTERM; 0 cuts them, and infinity waits for all."""
    api_key: str | None
    hardware: Hardware
    statistics: bool = True
    nodes: Nodes = field(default_factory=Nodes)
    quotes: bool = False
    """Answer by quoting the prompt, and not with filler of the length that is asked for."""
    updates_adapters: bool = False
    """Whether LoRA adapters are loaded and unloaded at run time."""
    max_loras: int = 1
    max_lora_rank: int = 16


def parse(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> Options:
    """Read ``vllm serve ...``, ``tgi ...`` or ``sglang serve ...``.

    Exits with a usage message where an argument is not understood.
    """
    environment = os.environ if environment is None else environment
    return replace(_flavoured(arguments, environment), quotes=environment.get("ENGINESIM_QUOTES") == "1")


def _flavoured(arguments: Sequence[str], environment: Mapping[str, str]) -> Options:
    flavour, rest = arguments[0] if arguments else "", list(arguments[1:])
    if flavour == "vllm" and rest[:1] == ["serve"]:
        return _vllm(rest[1:], environment)
    if flavour == "tgi":
        return _tgi(rest, environment)
    if flavour == "sglang" and rest[:1] == ["serve"]:
        return _sglang(rest[1:], environment)
    raise SystemExit(
        "usage: enginesim vllm serve MODEL [ARGUMENTS] | enginesim tgi --model-id MODEL [ARGUMENTS] | "
        "enginesim sglang serve --model-path MODEL [ARGUMENTS]"
    )


def _vllm(arguments: list[str], environment: Mapping[str, str]) -> Options:
    parser = argparse.ArgumentParser(prog="vllm serve", allow_abbrev=False)
    parser.add_argument("model")
    parser.add_argument("--served-model-name", nargs="+")
    parser.add_argument("--host", default="0.0.0.0")  # noqa: S104 - as vLLM does
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--max-num-seqs", type=int, default=256)
    parser.add_argument("--max-num-batched-tokens", type=int, default=2048)
    parser.add_argument("--max-model-len", type=int, default=8192)
    parser.add_argument("--max-num-queued-reqs", type=int)
    parser.add_argument("--shutdown-timeout", type=float, default=0.0)
    parser.add_argument("--api-key", default=environment.get("VLLM_API_KEY"))
    parser.add_argument("--disable-log-stats", action="store_true")
    parser.add_argument("--enable-lora", action="store_true")
    parser.add_argument("--max-loras", type=int, default=1)
    parser.add_argument("--max-lora-rank", type=int, default=16)
    parser.add_argument("--nnodes", "-n", type=int, default=1)
    parser.add_argument("--node-rank", "-r", type=int, default=0)
    parser.add_argument("--master-addr", default=Nodes.address)
    parser.add_argument("--master-port", type=int, default=Nodes.port)
    parser.add_argument("--headless", action="store_true")
    parser.add_argument("--api-server-count", "-asc", type=int)
    known, _ = parser.parse_known_args([_dashed(argument) for argument in arguments])
    if known.headless and known.api_server_count:
        parser.error("--api-server-count can not be used with --headless")
    if (known.node_rank > 0) != known.headless:
        parser.error("--headless is for every rank but 0")
    allowed = environment.get("VLLM_ALLOW_RUNTIME_LORA_UPDATING", "0").strip().lower() in {"1", "true"}
    return Options(
        flavour="vllm",
        model=known.model,
        served_names=tuple(known.served_model_name or [known.model]),
        host=known.host,
        port=known.port,
        max_sequences=known.max_num_seqs,
        max_batched_tokens=known.max_num_batched_tokens,
        max_model_len=known.max_model_len,
        max_queued=known.max_num_queued_reqs,
        drain=known.shutdown_timeout,
        api_key=known.api_key,
        hardware=Hardware.from_environment(environment),
        statistics=not known.disable_log_stats,
        nodes=Nodes(known.nnodes, known.node_rank, known.master_addr, known.master_port),
        updates_adapters=known.enable_lora and allowed,
        max_loras=known.max_loras,
        max_lora_rank=known.max_lora_rank,
    )


def _dashed(argument: str) -> str:
    """vLLM takes an underscore in an option's name for a dash."""
    name, equals, value = argument.partition("=")
    return name.replace("_", "-") + equals + value if name.startswith("--") else argument


def _tgi(arguments: list[str], environment: Mapping[str, str]) -> Options:
    parser = argparse.ArgumentParser(prog="text-generation-launcher", allow_abbrev=False)
    parser.add_argument("--model-id", default=environment.get("MODEL_ID", "bigscience/bloom-560m"))
    parser.add_argument("--hostname", default="0.0.0.0")  # noqa: S104 - as TGI does
    parser.add_argument("--port", type=int, default=int(environment.get("PORT", "3000")))
    parser.add_argument("--max-concurrent-requests", type=int, default=128)
    parser.add_argument("--max-batch-size", type=int)
    parser.add_argument("--max-batch-prefill-tokens", type=int, default=4096)
    parser.add_argument("--max-total-tokens", type=int, default=4096)
    parser.add_argument("--graceful-termination-timeout", type=float, default=90.0)
    parser.add_argument("--api-key", default=environment.get("API_KEY"))
    known, _ = parser.parse_known_args(arguments)
    return Options(
        flavour="tgi",
        model=known.model_id,
        served_names=(known.model_id,),
        host=known.hostname,
        port=known.port,
        max_sequences=known.max_batch_size or known.max_concurrent_requests,
        max_batched_tokens=known.max_batch_prefill_tokens,
        max_model_len=known.max_total_tokens,
        max_queued=known.max_concurrent_requests,
        drain=known.graceful_termination_timeout,
        api_key=known.api_key,
        hardware=Hardware.from_environment(environment),
    )


def _sglang(arguments: list[str], environment: Mapping[str, str]) -> Options:
    parser = argparse.ArgumentParser(prog="sglang serve", allow_abbrev=False)
    parser.add_argument("--model-path", required=True)
    parser.add_argument("--served-model-name")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=30000)
    parser.add_argument("--max-running-requests", type=int, default=256)
    parser.add_argument("--max-queued-requests", type=int)
    parser.add_argument("--chunked-prefill-size", type=int, default=8192)
    parser.add_argument("--context-length", type=int, default=8192)
    parser.add_argument("--api-key")
    parser.add_argument("--enable-metrics", action="store_true")
    parser.add_argument("--nnodes", type=int, default=1)
    parser.add_argument("--node-rank", type=int, default=0)
    parser.add_argument("--dist-init-addr", default=f"{Nodes.address}:{Nodes.port}")
    parser.add_argument("--enable-lora", action="store_true")
    parser.add_argument("--lora-target-modules", nargs="*")
    parser.add_argument("--max-lora-rank", type=int)
    known, _ = parser.parse_known_args(arguments)
    if known.enable_lora and not (known.max_lora_rank and known.lora_target_modules):
        parser.error(
            "When no initial --lora-paths is provided, you need to specify both --max-lora-rank and "
            "--lora-target-modules for LoRA initialization."
        )
    address, _, port = known.dist_init_addr.rpartition(":")
    queued = known.max_queued_requests
    return Options(
        flavour="sglang",
        model=known.model_path,
        served_names=(known.served_model_name or known.model_path,),
        host=known.host,
        port=known.port,
        max_sequences=known.max_running_requests,
        max_batched_tokens=known.chunked_prefill_size,
        max_model_len=known.context_length,
        max_queued=None if queued is None else known.max_running_requests + queued,
        drain=math.inf,
        api_key=known.api_key,
        hardware=Hardware.from_environment(environment),
        statistics=known.enable_metrics,
        nodes=Nodes(known.nnodes, known.node_rank, address, int(port), leaves_at_sigterm=False),
        updates_adapters=known.enable_lora,
        max_lora_rank=known.max_lora_rank or 0,
    )

"""The form in which each engine states its facts."""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from llmendpoint.api.accelerators import is_grouped
from llmendpoint.api.adapters import Adapter
from llmendpoint.api.endpoint import EndpointSpec
from llmendpoint.api.scaling import TargetType

CACHE_PATH = "/cache"
FETCHED_PATH = f"{CACHE_PATH}/models"
"""Where a Job puts what it fetches."""
MODEL_PATH = "/models"
# Where a replica takes several nodes: variables that LeaderWorkerSet's webhook gives each container, for the kubelet to
# put in.
LEADER_ADDRESS = "$(LWS_LEADER_ADDRESS)"
WORKER_INDEX = "$(LWS_WORKER_INDEX)"
ADAPTER_PATH = "/adapters"
"""Claims and images of adapters, each in a folder of its own."""


@dataclass(frozen=True)
class MetricNames:
    """Sample names on the engine's /metrics. Several names of one thing are added up; absent ones count 0."""

    prefix: str
    running: tuple[str, ...]
    waiting: tuple[str, ...]
    requests: tuple[str, ...]
    """Counters of finished requests."""
    prompt_tokens: tuple[str, ...]
    generation_tokens: tuple[str, ...]
    steps: tuple[str, ...]
    """Counters that move with every step of the batch, long before a request is finished."""
    finished_prompt_tokens: tuple[str, ...] = ()
    """Tokens of finished requests, where prompt_tokens and generation_tokens grow with each step."""
    finished_generation_tokens: tuple[str, ...] = ()
    queue_bucket: str | None = None
    """Histogram of the time that finished requests spent in the queue."""
    kv_usage: tuple[str, ...] = ()
    """The same gauge by its names in several versions: the first one found counts."""
    ttft_bucket: str | None = None
    labels: tuple[str, ...] = ()
    """Labels by which the series of one engine differ."""
    counting: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Sample name -> labels of the series that count, where others say the same again. A label that is absent fits."""
    appear_on_use: bool = False
    """True where an engine that had no request yet shows no metric of its own at all."""

    @property
    def unreported(self) -> frozenset[TargetType]:
        """Targets that can never have a value, because the engine does not report what they are about."""
        needs: dict[TargetType, bool] = {
            "KVCacheUtilization": bool(self.kv_usage),
            "TTFTP95Seconds": self.ttft_bucket is not None,
        }
        return frozenset(kind for kind, is_reported in needs.items() if not is_reported)

    @cached_property
    def wanted(self) -> frozenset[str]:
        """All names that are read."""
        return frozenset(
            (
                *self.running, *self.waiting, *self.requests, *self.prompt_tokens, *self.generation_tokens,
                *self.steps, *self.finished_prompt_tokens, *self.finished_generation_tokens,
                *self.kv_usage, *self.histograms,
            )
        )  # fmt: skip

    @cached_property
    def without_ttft(self) -> frozenset[str]:
        """Those that are read where no target is about the time to first token: its histogram has most of the rows."""
        return self.wanted.difference({self.ttft_bucket})

    @property
    def histograms(self) -> tuple[str, ...]:
        """Those of the names that have many rows."""
        return tuple(name for name in (self.ttft_bucket, self.queue_bucket) if name)


@dataclass(frozen=True)
class AdapterFacts:
    """How LoRA adapters get into an engine, and how clients ask for them."""

    api: Literal["vllm", "sglang"] | None
    """Whose way of loading them while it serves; None where it is restarted for it."""
    source_schemes: frozenset[str]
    model: Callable[[EndpointSpec, Adapter], str]
    """The model name that clients send."""


@dataclass(frozen=True)
class EngineFacts:
    """One inference server."""

    default_image: str
    port: int
    health_path: str
    command: tuple[str, ...]
    metrics: MetricNames
    arguments: Callable[[EndpointSpec], list[str]]
    """Arguments that keep the contract: model, port, drain. The user's come after them."""
    environment: Callable[[EndpointSpec], Mapping[str, str]]
    api_key_variable: str
    slots_flag: str
    """The argument that bounds how many requests run at once."""
    default_slots: int
    source_schemes: frozenset[str]
    """Schemes of model.source that the engine can serve."""
    adapters: AdapterFacts
    worker_arguments: Callable[[EndpointSpec], list[str]] | None = None
    """The arguments of the pods beside the one that serves; None where the engine can not spread a replica."""
    rendezvous_port: int | None = None
    """Where these pods join the one that serves, by connections that last as long as they work together."""


def model_argument(spec: EndpointSpec) -> str:
    """What the engine is told to load: a hub name, an s3:// address or a path in the pod."""
    origin = spec.model.origin
    if spec.model.is_fetched_first:
        return f"{FETCHED_PATH}/{origin.folder(spec.model.revision)}"
    if origin.scheme in {"pvc", "oci"}:
        return f"{MODEL_PATH}/{origin.path}" if origin.path else MODEL_PATH
    return origin.uri if origin.scheme == "s3" else origin.root


def revision_argument(spec: EndpointSpec) -> list[str]:
    """The argument that names the hub's revision; none where the model is loaded from a path."""
    revision = spec.model.revision
    return [f"--revision={revision}"] if revision and not spec.model.is_fetched_first else []


def adapter_path(spec: EndpointSpec, adapter: Adapter) -> str | None:
    """Where an adapter lies in the pod that needs not be fetched: in a claim or an image."""
    origin = adapter.origin
    if origin.scheme not in {"pvc", "oci"}:
        return None
    # A pod that has a claim in two volumes may never start, kubernetes/kubernetes#127004.
    is_models = origin.claim is not None and origin.claim == spec.model.origin.claim
    folder = MODEL_PATH if is_models else f"{ADAPTER_PATH}/{adapter_volume(adapter)}"
    return f"{folder}/{origin.path}" if origin.path else folder


def adapter_volume(adapter: Adapter) -> str:
    """Name of the volume that has an adapter of a claim or an image: the same for all of that place."""
    return f"adapters-{hashlib.sha256(adapter.origin.root.encode()).hexdigest()[:12]}"


def flag(spec: EndpointSpec, name: str, value: object) -> list[str]:
    """``name=value``; nothing where the user gives the argument."""
    return [] if argument(spec.engine.args, name) else [f"{name}={value}"]


def served_model(spec: EndpointSpec) -> str:
    """The model name that clients send."""
    return spec.model.served_name or spec.model.origin.name


def group_size(spec: EndpointSpec) -> int:
    """Accelerators of one pod over which the model is split. How many a resource claim brings is not known here."""
    limits, product = spec.engine.replica_resources.limits or {}, spec.engine.accelerator
    return sum(int(amount) for name, amount in limits.items() if is_grouped(name, product) and str(amount).isdecimal())


def argument(args: Sequence[str], flag: str) -> str | None:
    """The value of ``--flag value`` or ``--flag=value``, the last one if it is given twice.

    An underscore in the name is a dash, as vLLM reads it.
    """
    found = None
    for index, arg in enumerate(args):
        name, equals, value = arg.partition("=")
        if name.replace("_", "-") != flag:
            continue
        if equals:
            found = value
        elif index + 1 < len(args):
            found = args[index + 1]
    return found


def split_arguments(
    spec: EndpointSpec, tensor: Sequence[str], pipeline: Sequence[str] = (), beside: Sequence[Sequence[str]] = ()
) -> list[str]:
    """The arguments that split the model over a replica's accelerators, as far as the user does not give them.

    By tensors within a node, where it is fast, and by layers from node to node. Where the user gives one of the two for
    several nodes, the other one takes what is left.

    Args:
        tensor: names of the argument for the split by tensors; the first one is written.
        pipeline: the same for the split by layers, which is written for several nodes alone.
        beside: names of each other argument by which accelerators are shared out: each data-parallel rank has as many
            as the model is split over.
    """
    here, nodes = group_size(spec), spec.engine.nodes_per_replica
    ranks = math.prod(_number(spec, names) for names in beside)
    has_tensor, has_pipeline = (any(argument(spec.engine.args, flag) for flag in flags) for flags in (tensor, pipeline))
    size = here * (nodes if has_pipeline else 1) // _number(spec, pipeline) // ranks
    shards = _number(spec, tensor) if has_tensor else max(size, 1)
    stages = here * nodes // (shards * ranks) if here else nodes
    split = [f"{tensor[0]}={size}"] if size > 1 and not has_tensor else []
    return [*split, f"{pipeline[0]}={stages}"] if nodes > 1 and stages > 1 and not has_pipeline else split


def _number(spec: EndpointSpec, flags: Sequence[str]) -> int:
    """What the user gives for an argument of these names; 1 without it."""
    given = next(filter(None, (argument(spec.engine.args, flag) for flag in flags)), "")
    return max(int(given), 1) if given.isdecimal() else 1


def slots(facts: EngineFacts, spec: EndpointSpec) -> int:
    """Requests that one replica works on at once at most."""
    given = argument(spec.engine.args, facts.slots_flag)
    return int(given) if given and given.isdecimal() else facts.default_slots

"""Text Generation Inference 3.x: command line, environment and metric names.

https://huggingface.co/docs/text-generation-inference/reference/launcher (archived upstream, no new features)
"""

from llmendpoint.api.adapters import Adapter
from llmendpoint.api.endpoint import EndpointSpec
from llmendpoint.engines.facts import (
    CACHE_PATH,
    AdapterFacts,
    EngineFacts,
    MetricNames,
    adapter_path,
    model_argument,
    revision_argument,
    split_arguments,
)

# The image's own 80 needs a capability that the pod drops.
PORT = 8080


def _arguments(spec: EndpointSpec) -> list[str]:
    args = [
        f"--model-id={model_argument(spec)}",
        "--hostname=0.0.0.0",
        f"--port={PORT}",
        f"--graceful-termination-timeout={spec.engine.drain_seconds}",
    ]
    return [*args, *revision_argument(spec), *split_arguments(spec, ("--num-shard",))]


def _environment(spec: EndpointSpec) -> dict[str, str]:
    cache = {"HUGGINGFACE_HUB_CACHE": f"{CACHE_PATH}/huggingface/hub"}
    if not spec.model.adapters:
        return cache
    return {**cache, "LORA_ADAPTERS": ",".join(_adapter(spec, adapter) for adapter in spec.model.adapters)}


def _adapter(spec: EndpointSpec, adapter: Adapter) -> str:
    """One that it reads from a folder has any name, one of the hub has the hub's."""
    if path := adapter_path(spec, adapter):
        return f"{adapter.name}={path}"
    return f"{adapter.origin.root}@{adapter.revision}" if adapter.revision else adapter.origin.root


TGI = EngineFacts(
    default_image="ghcr.io/huggingface/text-generation-inference:3.3.7",
    port=PORT,
    health_path="/health",
    command=("text-generation-launcher",),
    metrics=MetricNames(
        prefix="tgi_",
        running=("tgi_batch_current_size",),
        waiting=("tgi_queue_size",),
        requests=("tgi_request_success", "tgi_request_failure"),
        prompt_tokens=("tgi_request_input_length_sum",),
        generation_tokens=("tgi_request_generated_tokens_sum",),
        steps=("tgi_batch_inference_success",),
        queue_bucket="tgi_request_queue_duration_bucket",
        labels=("err", "method"),
        appear_on_use=True,
    ),
    arguments=_arguments,
    environment=_environment,
    api_key_variable="API_KEY",
    slots_flag="--max-concurrent-requests",
    default_slots=128,
    source_schemes=frozenset({"hf", "pvc", "oci"}),
    adapters=AdapterFacts(
        api=None, source_schemes=frozenset({"hf", "pvc", "oci"}), model=lambda _, adapter: adapter.name
    ),
)

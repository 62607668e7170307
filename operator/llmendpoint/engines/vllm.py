"""vLLM: command line, environment and metric names.

Measured on vLLM 0.32.0; --shutdown-timeout exists from 0.18.0. https://docs.vllm.ai/en/v0.32.0/
"""

from functools import partial

from llmendpoint.api.endpoint import EndpointSpec
from llmendpoint.engines.facts import (
    CACHE_PATH,
    LEADER_ADDRESS,
    WORKER_INDEX,
    AdapterFacts,
    EngineFacts,
    MetricNames,
    argument,
    flag,
    model_argument,
    revision_argument,
    served_model,
    split_arguments,
)

PORT = 8000
# Its own default.
RENDEZVOUS_PORT = 29501
SLOTS = 256
SLOTS_FLAG = "--max-num-seqs"
TENSOR = ("--tensor-parallel-size", "-tp")
PIPELINE = ("--pipeline-parallel-size", "-pp")
BESIDE = (("--data-parallel-size", "-dp"), ("--prefill-context-parallel-size", "-pcp"))
# Requests for more adapters than these wait for the next batch; its own default is 1.
LORAS_IN_A_BATCH = 4
# The others are read from the volume again when they are asked for.
LORAS_IN_MEMORY = 16


def _arguments(spec: EndpointSpec, *, is_worker: bool = False) -> list[str]:
    args = [
        model_argument(spec),
        # Its own default is the path that it loads from, which is not what status.model and LLM_MODEL say.
        f"--served-model-name={served_model(spec)}",
        "--host=0.0.0.0",
        f"--port={PORT}",
        # Without it SIGTERM cuts every stream; it does not work with several API servers, whose number follows
        # the data-parallel size by default.
        f"--shutdown-timeout={spec.engine.drain_seconds}",
        "--headless" if is_worker else "--api-server-count=1",
    ]
    args.extend(revision_argument(spec))
    if _is_streamed(spec):
        args.append("--load-format=runai_streamer")
    args.extend(split_arguments(spec, TENSOR, PIPELINE, BESIDE))
    if not argument(spec.engine.args, SLOTS_FLAG):
        # Its own default follows the GPU, 1024 on large ones, and the scaler has to know when a batch is full.
        args.append(f"{SLOTS_FLAG}={SLOTS}")
    if spec.engine.is_spread:
        args.append(f"--nnodes={spec.engine.nodes_per_replica}")
        args.append(f"--node-rank={WORKER_INDEX}")
        args.append(f"--master-addr={LEADER_ADDRESS}")
        args.append(f"--master-port={RENDEZVOUS_PORT}")
    if spec.model.adapters is not None:
        # What they depend on does not change with the adapters: the pods would be replaced.
        args += ["--enable-lora", *flag(spec, "--max-loras", LORAS_IN_A_BATCH)]
        in_batch = argument(spec.engine.args, "--max-loras") or ""
        args += flag(spec, "--max-cpu-loras", max(LORAS_IN_MEMORY, int(in_batch) if in_batch.isdecimal() else 0))
    return args


def _is_streamed(spec: EndpointSpec) -> bool:
    """Whether weights go from a bucket into the accelerator, by Run:ai Model Streamer."""
    return spec.model.origin.scheme == "s3" and not spec.model.is_fetched_first


def _environment(spec: EndpointSpec) -> dict[str, str]:
    s3 = spec.model.s3 if _is_streamed(spec) else None
    # https://docs.vllm.ai/en/v0.32.0/models/extensions/runai_model_streamer/: of servers that are not Amazon's.
    streamer = {"RUNAI_STREAMER_S3_USE_VIRTUAL_ADDRESSING": "0", "AWS_EC2_METADATA_DISABLED": "true"}
    return {
        # vLLM gives up after 600 s by itself; the startup probe is to decide.
        "VLLM_ENGINE_READY_TIMEOUT_S": str(spec.engine.startup_timeout_seconds),
        # The torch.compile cache halves a cold start (104 -> 45 s).
        "VLLM_CACHE_ROOT": f"{CACHE_PATH}/vllm",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        **(streamer if s3 and s3.endpoint_url else {}),
        **({"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1"} if spec.model.adapters is not None else {}),
    }


VLLM = EngineFacts(
    default_image="docker.io/vllm/vllm-openai:v0.32.0",
    port=PORT,
    health_path="/health",
    command=("vllm", "serve"),
    metrics=MetricNames(
        prefix="vllm:",
        running=("vllm:num_requests_running",),
        waiting=("vllm:num_requests_waiting",),
        requests=("vllm:request_success_total",),
        prompt_tokens=("vllm:prompt_tokens_total",),
        generation_tokens=("vllm:generation_tokens_total",),
        steps=("vllm:iteration_tokens_total_count",),
        finished_prompt_tokens=("vllm:request_prompt_tokens_sum",),
        finished_generation_tokens=("vllm:request_generation_tokens_sum",),
        queue_bucket="vllm:request_queue_time_seconds_bucket",
        kv_usage=("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"),
        ttft_bucket="vllm:time_to_first_token_seconds_bucket",
        labels=("engine", "model_name", "finished_reason"),
    ),
    arguments=_arguments,
    worker_arguments=partial(_arguments, is_worker=True),
    rendezvous_port=RENDEZVOUS_PORT,
    environment=_environment,
    api_key_variable="VLLM_API_KEY",
    slots_flag=SLOTS_FLAG,
    default_slots=SLOTS,
    source_schemes=frozenset({"hf", "pvc", "s3", "oci"}),
    adapters=AdapterFacts(
        api="vllm",
        source_schemes=frozenset({"hf", "pvc", "s3", "oci"}),
        model=lambda _, adapter: adapter.name,
    ),
)

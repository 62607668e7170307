"""SGLang: command line, environment and metric names.

Read in the 0.5.23 wheel; nothing here was measured on a real one. https://docs.sglang.ai/
"""

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

PORT = 30000
# It has no default.
RENDEZVOUS_PORT = 20000
SLOTS = 256
SLOTS_FLAG = "--max-running-requests"
TENSOR = ("--tp-size", "--tp", "--tensor-parallel-size")
PIPELINE = ("--pp-size", "--pipeline-parallel-size")
DATA = ("--dp-size", "--data-parallel-size")
# vLLM's default.
MAX_LORA_RANK = 16
API_KEY = "SGLANG_SERVER_KEY"
LABELS = (
    "model_name", "engine_type", "tp_rank", "pp_rank", "moe_ep_rank", "dp_rank", "is_streaming", "priority", "mode",
)  # fmt: skip


def _arguments(spec: EndpointSpec) -> list[str]:
    args = [
        f"--model-path={model_argument(spec)}",
        f"--served-model-name={served_model(spec)}",
        # Its own default is the loopback address.
        "--host=0.0.0.0",
        f"--port={PORT}",
        "--enable-metrics",
    ]
    args.extend(revision_argument(spec))
    if spec.engine.api_key_secret_ref:
        # It reads none from the environment; the kubelet puts the value in.
        args.append(f"--api-key=$({API_KEY})")
    # Data-parallel attention is within the group, plain data parallelism has a group for each rank.
    beside = () if "--enable-dp-attention" in spec.engine.args else (DATA,)
    args.extend(split_arguments(spec, TENSOR, PIPELINE, beside))
    if not argument(spec.engine.args, SLOTS_FLAG):
        # Its own default follows the memory, and the scaler has to know when a batch is full.
        args.append(f"{SLOTS_FLAG}={SLOTS}")
    if spec.engine.is_spread:
        args.append(f"--nnodes={spec.engine.nodes_per_replica}")
        args.append(f"--node-rank={WORKER_INDEX}")
        args.append(f"--dist-init-addr={LEADER_ADDRESS}:{RENDEZVOUS_PORT}")
    if spec.model.adapters is not None:
        # Without an adapter at the start it has to be told which ones may come.
        args += ["--enable-lora", *flag(spec, "--max-lora-rank", MAX_LORA_RANK)]
        args += flag(spec, "--lora-target-modules", "all")
    return args


def _environment(_: EndpointSpec) -> dict[str, str]:
    return {
        # Or each probe generates a token behind those that wait, and a busy engine is killed.
        "SGLANG_ENABLE_HEALTH_ENDPOINT_GENERATION": "0",
        # Kernels that DeepGEMM and FlashInfer compile at the first start are there at the next.
        "SGLANG_CACHE_DIR": f"{CACHE_PATH}/sglang",
        "TRITON_CACHE_DIR": f"{CACHE_PATH}/triton",
        "TORCHINDUCTOR_CACHE_DIR": f"{CACHE_PATH}/inductor",
    }


SGLANG = EngineFacts(
    default_image="docker.io/lmsysorg/sglang:v0.5.23",
    port=PORT,
    health_path="/health",
    command=("sglang", "serve"),
    metrics=MetricNames(
        prefix="sglang:",
        running=("sglang:num_running_reqs",),
        waiting=("sglang:num_queue_reqs",),
        requests=("sglang:num_requests_total",),
        prompt_tokens=("sglang:prompt_tokens_total",),
        generation_tokens=("sglang:generation_tokens_total",),
        # Passes of the model through the GPU. Tokens are counted when a request is finished.
        steps=("sglang:cuda_graph_passes_total",),
        queue_bucket="sglang:queue_time_seconds_bucket",
        kv_usage=("sglang:token_usage",),
        ttft_bucket="sglang:time_to_first_token_seconds_bucket",
        labels=LABELS,
        # The stages of a pipeline show the same requests, and the gauges show them by priority as well as all of them.
        # Every rank counts its passes, and those of one group make them together.
        counting={
            "sglang:num_running_reqs": {"pp_rank": "0", "priority": ""},
            "sglang:num_queue_reqs": {"pp_rank": "0", "priority": ""},
            "sglang:queue_time_seconds_bucket": {"pp_rank": "0"},
            "sglang:cuda_graph_passes_total": {"pp_rank": "0", "tp_rank": "0"},
        },
    ),
    arguments=_arguments,
    # Those of other ranks than 0 serve nobody by themselves.
    worker_arguments=_arguments,
    rendezvous_port=RENDEZVOUS_PORT,
    environment=_environment,
    api_key_variable=API_KEY,
    slots_flag=SLOTS_FLAG,
    default_slots=SLOTS,
    source_schemes=frozenset({"hf", "pvc", "oci"}),
    adapters=AdapterFacts(
        api="sglang",
        source_schemes=frozenset({"hf", "pvc", "s3", "oci"}),
        # It takes any name without a colon for the model itself.
        model=lambda spec, adapter: f"{served_model(spec)}:{adapter.name}",
    ),
)

"""The engine arguments and variables that the operator owns: probes, scraping, draining and the served name need them.

https://docs.vllm.ai/en/v0.32.0/cli/serve/ https://huggingface.co/docs/text-generation-inference/reference/launcher
https://docs.sglang.ai/advanced_features/server_arguments.html
"""

RESERVED_ARGS: dict[str, tuple[str, ...]] = {
    "vLLM": (
        "--model", "--served-model-name", "--host", "--port", "--uds", "--grpc", "--ssl-keyfile", "--ssl-certfile",
        "--root-path", "--api-key", "--api-server-count", "-asc", "--headless", "--disable-log-stats",
        "--shutdown-timeout", "--nnodes", "-n", "--node-rank", "-r", "--master-addr", "--master-port",
        "--config",
    ),
    "TGI": (
        "--model-id", "--hostname", "--port", "-p", "--prometheus-port", "--api-key", "--graceful-termination-timeout",
    ),
    # Of several fronts each drains by itself, and the first that is done stops the scheduler of all.
    "SGLang": (
        "--model-path", "--model", "--served-model-name", "--host", "--port", "--api-key", "--admin-api-key",
        "--enable-metrics", "--enable-metrics-for-all-schedulers", "--ssl-keyfile", "--ssl-certfile",
        "--fastapi-root-path", "--grpc-mode", "--smg-grpc-mode", "--tokenizer-worker-num", "--nnodes", "--node-rank",
        "--dist-init-addr", "--nccl-init-addr", "--config",
    ),
}  # fmt: skip
RESERVED_ENV: dict[str, tuple[str, ...]] = {
    # The development mode lets anybody put the engine to sleep; the time-out is the startup probe's business.
    "vLLM": ("VLLM_API_KEY", "VLLM_ENGINE_READY_TIMEOUT_S", "VLLM_PORT", "VLLM_SERVER_DEV_MODE"),
    # TGI reads every option from the environment as well.
    "TGI": (
        "MODEL_ID", "REVISION", "HOSTNAME", "PORT", "PROMETHEUS_PORT", "API_KEY", "GRACEFUL_TERMINATION_TIMEOUT",
        "NUM_SHARD", "MAX_CONCURRENT_REQUESTS",
    ),
    "SGLang": (
        "SGLANG_SERVER_KEY", "SGLANG_ENABLE_HEALTH_ENDPOINT_GENERATION", "SGL_FORCE_SHUTDOWN", "SGLANG_FORCE_SHUTDOWN",
    ),
}  # fmt: skip
_ARGS_INSTEAD: dict[str, str] = {
    "vLLM": "use model.source, model.servedName, engine.drainSeconds, engine.apiKeySecretRef and "
    "engine.nodesPerReplica instead, and write the content of a --config file as arguments",
    "TGI": "use model.source, engine.drainSeconds and engine.apiKeySecretRef instead",
    "SGLang": "use model.source, model.servedName, engine.apiKeySecretRef and engine.nodesPerReplica instead, and "
    "write the content of a --config file as arguments",
}
_ENV_INSTEAD: dict[str, str] = {
    "vLLM": "use engine.apiKeySecretRef and engine.startupTimeoutSeconds instead",
    "TGI": "use model.source, model.revision, engine.drainSeconds and engine.apiKeySecretRef instead, and engine.args "
    "for --num-shard and --max-concurrent-requests",
    "SGLang": "use engine.apiKeySecretRef instead",
}


def args_rule(engine: str) -> tuple[str, str]:
    """The CEL rule that refuses an engine's reserved arguments, and its message.

    As vLLM's parser does, it takes an underscore for a dash and the first letters of a name for the name; a short
    option may have its value attached.
    """
    flags = ", ".join(f"'{flag}'" for flag in RESERVED_ARGS[engine])
    return (
        f"self.type != '{engine}' || !self.args.exists(a, a.startsWith('-') && [{flags}].exists(f, "
        "f.startsWith(a.split('=')[0].replace('_', '-')) || size(f) == 2 && a.startsWith(f)))",
        f"engine.args of {engine} must not set {', '.join(RESERVED_ARGS[engine])}: the operator sets them so that "
        f"probes, metrics and draining work; {_ARGS_INSTEAD[engine]}",
    )


def env_rule(engine: str) -> tuple[str, str]:
    """The CEL rule that refuses an engine's reserved variables, and its message."""
    names = ", ".join(f"'{name}'" for name in RESERVED_ENV[engine])
    return (
        f"self.type != '{engine}' || !self.env.exists(e, e.name in [{names}])",
        f"engine.env of {engine} must not set {', '.join(RESERVED_ENV[engine])}: the engine reads them as options "
        f"that are the operator's; {_ENV_INSTEAD[engine]}",
    )

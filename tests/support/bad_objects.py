"""Objects that must be refused, each with the sentence that has to say why."""

import copy
from typing import Any

GOOD: dict[str, Any] = {
    "apiVersion": "llmendpoint.dev/v1alpha1",
    "kind": "LLMEndpoint",
    "metadata": {"name": "good", "namespace": "default"},
    "spec": {
        "model": {"source": "hf://acme/llama"},
        # Arguments that begin as reserved ones do.
        "engine": {
            "args": ["--config-format=mistral", "--model-loader-extra-config", "{}", "-tp=1", "--ssl-ciphers=x"],
            "accelerator": "NVIDIA-A100-SXM4-40GB-MIG-1g.5gb",
            "resourceClaims": [{"name": "nic", "resourceClaimTemplateName": "rdma.nics"}],
            "resources": {"limits": {"nvidia.com/gpu": 1}},
        },
        "scaling": {
            "maxReplicas": 3,
            "pricePerGPUHour": 2,
            "maxGPUs": 16,
            "schedules": [
                {"name": "a", "start": "*/5 0,12 1-7 jan-MAR 1-5/2", "durationSeconds": 60, "maxReplicas": 9},
                {
                    "name": "b",
                    "start": "07  08 * * 7",
                    "durationSeconds": 60,
                    "minReplicas": 3,
                    "timeZone": "Etc/GMT+1",
                },
            ],
        },
        "async": {
            "webhook": {
                "secretRef": {"name": "a", "key": "b"},
                "allowedHosts": ["*.team.svc.cluster.local", "a.example:8080", "x-1.b2.c"],
            }
        },
        "gateway": {
            "parentRefs": [
                {"name": "public"},
                {"name": "public", "namespace": "gateways", "sectionName": "http"},
                {"name": "public", "namespace": "gateways", "sectionName": "https", "port": 443},
            ],
            "hostnames": ["*.example.com", "llama.example.com"],
            "inferencePool": {"endpointPickerRef": {"name": "picker", "port": 9002}},
        },
    },
}
CLAIM = {"name": "gpu", "resourceClaimTemplateName": "one-gpu"}
TARGET = {"type": "RequestsPerReplicaPerMinute", "value": 5}
TRACKING = {"maxReplicas": 3, "policy": "TargetTracking", "targets": [TARGET]}
ARGS = "the operator sets them"
ENV = "the engine reads them as options"


def scheduled(**changes: Any) -> dict[str, Any]:
    """A spec.scaling with one schedule, changed or without what is None."""
    good = {"name": "office", "start": "30 7 * * MON-FRI", "durationSeconds": 36000, "minReplicas": 2}
    schedule = {name: value for name, value in {**good, **changes}.items() if value is not None}
    return {"maxReplicas": 3, "schedules": [schedule]}


def of_one_pod(rollout: str = "Surge", **spec: Any) -> dict[str, Any]:
    """A spec whose cache one pod alone can use."""
    cache = {"size": "1Gi", "accessMode": "ReadWriteOncePod"}
    return {"model": {"source": "hf://acme/llama", "cache": cache}, "engine": {"rollout": rollout}, **spec}


def webhook(*hosts: str) -> dict[str, Any]:
    """A spec.async that sends results to hosts."""
    return {"webhook": {"secretRef": {"name": "a", "key": "b"}, "allowedHosts": list(hosts)}}


HOSTS = "async.webhook.allowedHosts must be names"


BAD: list[tuple[str, str, Any, str]] = [
    # what, path in the object, value, part of the sentence
    ("name-too-long", "metadata.name", "a" * 51, "metadata.name must have at most 50 characters"),
    ("name-with-dot", "metadata.name", "my.llm", "metadata.name must be a DNS label"),
    ("name-starts-with-digit", "metadata.name", "8b", "metadata.name must be a DNS label"),
    ("no-model", "spec.model", None, "spec.model: Required value"),
    ("no-source", "spec.model", {}, "spec.model.source: Required value"),
    ("source-without-scheme", "spec.model.source", "acme/llama", "model.source must start with"),
    ("source-of-unknown-scheme", "spec.model.source", "ftp://acme/llama", "model.source must start with"),
    ("hf-without-name", "spec.model.source", "hf://", "model.source"),
    (
        "hf-with-revision",
        "spec.model.source",
        "hf://acme/llama@main",
        "put a branch, tag or commit into model.revision",
    ),
    ("hf-too-deep", "spec.model.source", "hf://acme/llama/x", "model.source hf:// must be owner/name"),
    ("pvc-with-capitals", "spec.model.source", "pvc://Models/x", "model.source pvc:// must be claim/path"),
    ("empty-revision", "spec.model.revision", "", "at least 1 chars long"),
    ("secret-without-key", "spec.model.tokenSecretRef", {"name": "hf"}, "tokenSecretRef.key: Required value"),
    ("cache-without-size", "spec.model.cache", {}, "cache.size: Required value"),
    ("cache-size-unreadable", "spec.model.cache", {"size": "big"}, "cache.size"),
    ("cache-mode", "spec.model.cache", {"size": "1Gi", "accessMode": "ReadSometimes"}, "Unsupported value"),
    ("cache-of-one-pod-surge", "spec", of_one_pod(replicas=1), "set engine.rollout to Recreate"),
    ("cache-of-one-pod-replicas", "spec", of_one_pod("Recreate", replicas=2), "let at most one replica run"),
    ("cache-of-one-pod-max", "spec", of_one_pod("Recreate", scaling={"maxReplicas": 2}), "let at most one replica run"),
    ("engine-type", "spec.engine", {"type": "llama.cpp"}, "Unsupported value"),
    ("accelerator-in-short", "spec.engine", {"accelerator": "L4"}, "engine.accelerator must be a product as"),
    ("accelerator-in-words", "spec.engine", {"accelerator": "NVIDIA H100"}, "engine.accelerator must be a product as"),
    ("accelerator-cut-off", "spec.engine", {"accelerator": "NVIDIA-"}, "engine.accelerator must be a product as"),
    ("accelerator-too-long", "spec.engine", {"accelerator": "NVIDIA-" + 57 * "H"}, "may not be more than 63"),
    ("claim-without-template", "spec.engine", {"resourceClaims": [{"name": "a"}]}, "TemplateName: Required value"),
    (
        "claim-without-name",
        "spec.engine",
        {"resourceClaims": [{"resourceClaimTemplateName": "a"}]},
        "name: Required value",
    ),
    ("claim-with-capitals", "spec.engine", {"resourceClaims": [{**CLAIM, "name": "GPU"}]}, "should match"),
    ("claim-twice", "spec.engine", {"resourceClaims": [CLAIM, CLAIM]}, "Duplicate value"),
    ("engine-port", "spec.engine", {"args": ["--port=9"]}, ARGS),
    ("engine-host", "spec.engine", {"args": ["--host", "::"]}, ARGS),
    ("engine-no-stats", "spec.engine", {"args": ["--disable-log-stats"]}, ARGS),
    ("engine-api-servers", "spec.engine", {"args": ["--api-server-count=2"]}, ARGS),
    ("engine-drain", "spec.engine", {"args": ["--shutdown-timeout=1"]}, ARGS),
    ("engine-served-name", "spec.engine", {"args": ["--served-model-name", "x"]}, ARGS),
    ("engine-drain-underscore", "spec.engine", {"args": ["--shutdown_timeout=0"]}, ARGS),
    ("engine-no-stats-underscore", "spec.engine", {"args": ["--disable_log_stats"]}, ARGS),
    ("engine-api-servers-underscore", "spec.engine", {"args": ["--api_server_count", "4"]}, ARGS),
    ("engine-api-servers-short", "spec.engine", {"args": ["-asc", "4"]}, ARGS),
    ("engine-drain-abbreviated", "spec.engine", {"args": ["--max-num-seqs=4", "--shutdown-t=0"]}, ARGS),
    ("engine-no-stats-abbreviated", "spec.engine", {"args": ["--disable_log_s"]}, ARGS),
    ("engine-config-file", "spec.engine", {"args": ["--config", "/models/vllm.yaml"]}, "content of a --config file"),
    ("engine-tls", "spec.engine", {"args": ["--ssl-keyfile=/tls/key"]}, ARGS),
    ("engine-dev-mode", "spec.engine", {"env": [{"name": "VLLM_SERVER_DEV_MODE", "value": "1"}]}, ENV),
    ("engine-key-in-env", "spec.engine", {"env": [{"name": "VLLM_API_KEY", "value": "x"}]}, "engine.apiKeySecretRef"),
    ("tgi-port", "spec.engine", {"type": "TGI", "args": ["--port=9"]}, ARGS),
    ("sglang-host", "spec.engine", {"type": "SGLang", "args": ["--host=127.0.0.1"]}, ARGS),
    ("sglang-health", "spec.engine", {"type": "SGLang", "env": [{"name": "SGL_FORCE_SHUTDOWN", "value": "1"}]}, ENV),
    ("sglang-grpc", "spec.engine", {"type": "SGLang", "args": ["--smg-grpc-mode"]}, ARGS),
    ("sglang-several-fronts", "spec.engine", {"type": "SGLang", "args": ["--tokenizer-worker-num", "2"]}, ARGS),
    ("tgi-drain", "spec.engine", {"type": "TGI", "args": ["--graceful-termination-timeout=1"]}, ARGS),
    ("tgi-port-short", "spec.engine", {"type": "TGI", "args": ["-p9"]}, ARGS),
    ("tgi-port-env", "spec.engine", {"type": "TGI", "env": [{"name": "PROMETHEUS_PORT", "value": "8080"}]}, ENV),
    (
        "tgi-slots-env",
        "spec.engine",
        {"type": "TGI", "env": [{"name": "MAX_CONCURRENT_REQUESTS", "value": "9"}]},
        "engine.args for --num-shard and --max-concurrent-requests",
    ),
    ("env-name", "spec.engine", {"env": [{"name": "A=B", "value": "x"}]}, "env[0].name"),
    ("env-twice", "spec.engine", {"env": [{"name": "A"}, {"name": "A"}]}, "Duplicate value"),
    (
        "pull-secret-twice",
        "spec.engine",
        {"imagePullSecrets": ["a", "b", "a"]},
        'spec.engine.imagePullSecrets[2]: Duplicate value: "a"',
    ),
    ("startup-too-short", "spec.engine", {"startupTimeoutSeconds": 1}, "greater than or equal to 10"),
    ("drain-negative", "spec.engine", {"drainSeconds": -1}, "greater than or equal to 0"),
    ("pre-stop-zero", "spec.engine", {"preStopSeconds": 0}, "greater than or equal to 1"),
    ("rollout", "spec.engine", {"rollout": "BlueGreen"}, "Unsupported value"),
    ("business-no-image", "spec.business", {}, "business.image: Required value"),
    ("business-port", "spec.business", {"image": "x", "port": 70000}, "less than or equal to 65535"),
    ("business-placement", "spec.business", {"image": "x", "placement": "Beside"}, "Unsupported value"),
    ("business-path", "spec.business", {"image": "x", "readinessPath": "healthz"}, "readinessPath"),
    (
        "business-bounds",
        "spec.business",
        {"image": "x", "replicas": {"min": 3, "max": 2}},
        "business.replicas.min must not be above business.replicas.max",
    ),
    ("sidecar-port", "spec.business", {"image": "x", "placement": "Sidecar"}, "business.port must not be the engine's"),
    (
        "sidecar-port-of-tgi-metrics",
        "spec",
        {
            "model": {"source": "hf://acme/llama"},
            "engine": {"type": "TGI"},
            "business": {"image": "x", "placement": "Sidecar", "port": 9000},
        },
        "business.port must not be the engine's",
    ),
    ("redis-without-secret", "spec.async", {"redis": {}}, "async.redis.urlSecretRef: Required value"),
    ("redis-without-key", "spec.async", {"redis": {"urlSecretRef": {"name": "a"}}}, "urlSecretRef.key: Required value"),
    ("no-job-may-wait", "spec.async", {"maxQueued": 0}, "greater than or equal to 1"),
    ("no-worker", "spec.async", {"workers": {"replicas": 0}}, "greater than or equal to 1"),
    ("too-many-tries", "spec.async", {"maxAttempts": 21}, "less than or equal to 20"),
    ("result-gone-at-once", "spec.async", {"resultTTLSeconds": 1}, "greater than or equal to 60"),
    ("no-backlog", "spec.async", {"backlogPerReplica": 0}, "greater than or equal to 1"),
    ("webhook-to-nobody", "spec.async", webhook(), "at least 1 items"),
    ("webhook-to-everybody", "spec.async", webhook("*"), HOSTS),
    ("webhook-to-an-address", "spec.async", webhook("169.254.169.254"), HOSTS),
    ("webhook-to-a-url", "spec.async", webhook("https://a.example"), HOSTS),
    ("webhook-twice", "spec.async", webhook("a.example", "a.example"), "Duplicate value"),
    ("no-max", "spec.scaling", {}, "maxReplicas: Required value"),
    (
        "min-above-max",
        "spec.scaling",
        {"minReplicas": 4, "maxReplicas": 3},
        "scaling.minReplicas must not be above scaling.maxReplicas",
    ),
    ("min-negative", "spec.scaling", {"minReplicas": -1, "maxReplicas": 3}, "greater than or equal to 0"),
    ("mode", "spec.scaling", {"maxReplicas": 3, "mode": "Auto"}, "Unsupported value"),
    ("policy", "spec.scaling", {"maxReplicas": 3, "policy": "Magic"}, "Unsupported value"),
    ("demand-with-targets", "spec.scaling", {"maxReplicas": 3, "targets": [TARGET]}, "must be left out for Demand"),
    ("tracking-without", "spec.scaling", {"maxReplicas": 3, "policy": "TargetTracking"}, "scaling.targets are needed"),
    (
        "target-zero",
        "spec.scaling",
        {**TRACKING, "targets": [{**TARGET, "value": 0}]},
        "scaling.targets value must be above 0",
    ),
    (
        "kv-per-cent",
        "spec.scaling",
        {**TRACKING, "targets": [{"type": "KVCacheUtilization", "value": 80}]},
        "give 0.8 for 80 %",
    ),
    (
        "promql-without-query",
        "spec.scaling",
        {**TRACKING, "targets": [{"type": "PromQL", "value": 1}]},
        "scaling.targets query is needed",
    ),
    (
        "promql-from-pods",
        "spec.scaling",
        {**TRACKING, "targets": [{"type": "PromQL", "value": 1, "query": "up"}]},
        "needs scaling.metrics.source: Prometheus",
    ),
    ("step-without-steps", "spec.scaling", {**TRACKING, "policy": "Step"}, "scaling.steps are needed for policy Step"),
    (
        "step-bounds",
        "spec.scaling",
        {**TRACKING, "policy": "Step", "steps": [{"lowerBound": 2, "upperBound": 1, "adjustment": 1}]},
        "scaling.steps lowerBound must be below upperBound",
    ),
    ("cooldown", "spec.scaling", {"maxReplicas": 3, "scaleIn": {"cooldownSeconds": -5}}, "greater than or equal to 0"),
    (
        "fallback",
        "spec.scaling",
        {"maxReplicas": 3, "fallback": {"afterSeconds": 60, "replicas": 9}},
        "scaling.fallback.replicas must be between",
    ),
    (
        "prometheus-without-url",
        "spec.scaling",
        {"maxReplicas": 3, "metrics": {"source": "Prometheus"}},
        "scaling.metrics.prometheus.url is needed",
    ),
    (
        "prometheus-url",
        "spec.scaling",
        {"maxReplicas": 3, "metrics": {"source": "Prometheus", "prometheus": {"url": "prom:9090"}}},
        "prometheus.url",
    ),
    (
        "prometheus-url-with-a-query",
        "spec.scaling",
        {"maxReplicas": 3, "metrics": {"source": "Prometheus", "prometheus": {"url": "http://prom:9090/x?y="}}},
        "prometheus.url",
    ),
    ("price-zero", "spec.scaling", {"maxReplicas": 3, "pricePerGPUHour": 0}, "scaling.pricePerGPUHour must be above 0"),
    ("price-in-words", "spec.scaling", {"maxReplicas": 3, "pricePerGPUHour": "2 EUR"}, "pricePerGPUHour"),
    ("budget-zero", "spec.scaling", {"maxReplicas": 3, "maxGPUs": 0}, "greater than or equal to 1"),
    ("schedule-without-start", "spec.scaling", scheduled(start=None), "schedules[0].start: Required value"),
    ("schedule-without-duration", "spec.scaling", scheduled(durationSeconds=None), "durationSeconds: Required value"),
    ("schedule-of-no-bounds", "spec.scaling", scheduled(minReplicas=None), "need minReplicas, maxReplicas or both"),
    ("schedule-cron-words", "spec.scaling", scheduled(start="every morning"), "must be five fields of cron"),
    ("schedule-cron-seconds", "spec.scaling", scheduled(start="0 30 7 * * 1"), "must be five fields of cron"),
    ("schedule-cron-hour", "spec.scaling", scheduled(start="0 24 * * *"), "must be five fields of cron"),
    ("schedule-cron-macro", "spec.scaling", scheduled(start="@daily"), "must be five fields of cron"),
    ("schedule-zone", "spec.scaling", scheduled(timeZone="Mitteleuropa/"), "must be a name of the IANA database"),
    ("schedule-zone-offset", "spec.scaling", scheduled(timeZone="+02:00"), "must be a name of the IANA database"),
    ("schedule-zone-local", "spec.scaling", scheduled(timeZone="Local"), "must be a name of the IANA database"),
    ("schedule-too-short", "spec.scaling", scheduled(durationSeconds=5), "greater than or equal to 60"),
    ("schedule-above-max", "spec.scaling", scheduled(minReplicas=9), "a schedule's minReplicas must not be above"),
    (
        "schedule-below-min",
        "spec.scaling",
        {**scheduled(minReplicas=None, maxReplicas=1), "minReplicas": 2},
        "a schedule's minReplicas",
    ),
    (
        "schedule-twice",
        "spec.scaling",
        {"maxReplicas": 3, "schedules": 2 * scheduled()["schedules"]},
        "Duplicate value",
    ),
    (
        "schedule-of-one-pod-cache",
        "spec",
        of_one_pod("Recreate", scaling={**scheduled(maxReplicas=2), "maxReplicas": 1}),
        "ReadWriteOncePod",
    ),
    ("gateway-without-parent", "spec.gateway", {"parentRefs": []}, "should have at least 1 items"),
    ("gateway-twice", "spec.gateway", {"parentRefs": [{"name": "a"}, {"name": "a"}]}, "must each name another Gateway"),
    (
        "gateway-with-and-without-section",
        "spec.gateway",
        {"parentRefs": [{"name": "a"}, {"name": "a", "sectionName": "b"}]},
        "each another sectionName of it",
    ),
    (
        "gateway-hostname",
        "spec.gateway",
        {"parentRefs": [{"name": "a"}], "hostnames": ["https://a.example"]},
        "hostnames",
    ),
    ("pool-without-port", "spec.gateway.inferencePool.endpointPickerRef.port", None, "port: Required value"),
    ("pool-behind-business", "spec.business", {"image": "rag:1"}, "leave gateway.inferencePool out, or business"),
    ("pool-that-sleeps", "spec.scaling.minReplicas", 0, "no request could wake an endpoint that sleeps"),
    (
        "pool-that-sleeps-at-night",
        "spec.scaling.schedules",
        scheduled(minReplicas=0)["schedules"],
        "no request could wake an endpoint that sleeps",
    ),
    ("replicas-negative", "spec.replicas", -1, "greater than or equal to 0"),
    ("unknown-field", "spec.engine", {"replica": 3}, 'unknown field "spec.engine.replica"'),
]


def changed(path: str, value: Any, good: dict[str, Any] = GOOD) -> dict[str, Any]:
    """A good object with one value put in, or taken out where it is None."""
    body = copy.deepcopy(good)
    *parents, last = path.split(".")
    node = body
    for part in parents:
        node = node[part]
    if value is None:
        del node[last]
    else:
        node[last] = value
    return body

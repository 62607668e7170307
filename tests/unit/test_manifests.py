"""What one object becomes, by the rules that keep streams whole."""

from typing import Any

import pytest

from llmendpoint.manifests import ManifestDefaults, children, problems, served_model, service_url
from support.builders import endpoint


def child(kind: str, name: str, defaults: ManifestDefaults | None = None, **spec: Any) -> dict[str, Any]:
    made = children(endpoint(**spec), defaults or ManifestDefaults())
    return next(body for body in made if (body["kind"], body["metadata"]["name"]) == (kind, name))


def engine_pod(**spec: Any) -> dict[str, Any]:
    pod: dict[str, Any] = child("Deployment", "llama-engine", **spec)["spec"]["template"]["spec"]
    return pod


def test_vllm_drains_and_keeps_one_api_server() -> None:
    pod = engine_pod(engine={"drainSeconds": 90, "preStopSeconds": 7})
    container = pod["containers"][0]
    assert container["command"] == ["vllm", "serve"]
    assert {"--shutdown-timeout=90", "--api-server-count=1"} <= set(container["args"])
    assert container["lifecycle"]["preStop"]["sleep"]["seconds"] == 7
    assert pod["terminationGracePeriodSeconds"] == 7 + 90 + 15
    assert pod["enableServiceLinks"] is False


def test_tgi_listens_on_a_port_that_needs_no_capability() -> None:
    container = engine_pod(engine={"type": "TGI"})["containers"][0]
    assert container["ports"] == [{"name": "http", "containerPort": 8080}]
    assert "--graceful-termination-timeout=60" in container["args"]


def test_the_startup_probe_covers_the_whole_load_time() -> None:
    probe = engine_pod(engine={"startupTimeoutSeconds": 601})["containers"][0]["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] >= 601


def test_several_gpus_are_one_tensor_parallel_group() -> None:
    container = engine_pod(engine={"resources": {"limits": {"nvidia.com/gpu": 4}}})["containers"][0]
    assert "--tensor-parallel-size=4" in container["args"]


@pytest.mark.parametrize(
    ("product", "label", "resource"),
    [
        ("NVIDIA-L4", "nvidia.com/gpu.product", "nvidia.com/gpu"),
        ("Tesla-T4", "nvidia.com/gpu.product", "nvidia.com/gpu"),
        ("nvidia-l4", "cloud.google.com/gke-accelerator", "nvidia.com/gpu"),
        ("AMD_Instinct_MI300X_OAM", "amd.com/gpu.product-name", "amd.com/gpu"),
    ],
)
def test_a_product_brings_its_label_and_its_resource(product: str, label: str, resource: str) -> None:
    pod = engine_pod(engine={"accelerator": product, "nodeSelector": {"zone": "a"}})
    assert pod["nodeSelector"] == {label: product, "zone": "a"}
    assert pod["containers"][0]["resources"] == {"limits": {resource: 1}}
    limits = {"limits": {"nvidia.com/mig-1g.10gb": 1}}
    assert engine_pod(engine={"accelerator": product, "resources": limits})["containers"][0]["resources"] == limits


def test_a_node_selector_wins_over_a_product() -> None:
    chosen = {"nvidia.com/gpu.product": "NVIDIA-L4-SHARED"}
    assert engine_pod(engine={"accelerator": "NVIDIA-L4", "nodeSelector": chosen})["nodeSelector"] == chosen
    assert "nodeSelector" not in engine_pod()


CLAIM = {"name": "gpus", "resourceClaimTemplateName": "two-gpus"}


def test_a_claim_is_the_engine_s_and_in_place_of_the_usual_gpu() -> None:
    business = {"image": "rag", "port": 9000, "placement": "Sidecar"}
    pod = engine_pod(engine={"resourceClaims": [CLAIM]}, business=business)
    assert pod["resourceClaims"] == [CLAIM]
    assert pod["initContainers"][0]["resources"] == {"claims": [{"name": "gpus"}]}
    assert "claims" not in (pod["containers"][0].get("resources") or {})
    both = engine_pod(engine={"resourceClaims": [CLAIM], "resources": {"limits": {"nvidia.com/gpu": 2}}})
    assert both["containers"][0]["resources"] == {"limits": {"nvidia.com/gpu": 2}, "claims": [{"name": "gpus"}]}


def test_a_claim_of_the_pod_template_comes_beside() -> None:
    template = {"spec": {"resourceClaims": [{"name": "nic", "resourceClaimName": "shared"}]}}
    pod = engine_pod(engine={"resourceClaims": [CLAIM], "podTemplate": template})
    assert pod["resourceClaims"] == [CLAIM, *template["spec"]["resourceClaims"]]


def test_a_budget_that_counts_nothing_is_refused() -> None:
    scaling = {"maxReplicas": 3, "maxGPUs": 4}
    (found,) = problems(endpoint(engine={"resourceClaims": [CLAIM]}, scaling=scaling), ManifestDefaults())
    assert found.startswith("scaling.maxGPUs would never act, because the devices of engine.resourceClaims")
    beside = {"resourceClaims": [CLAIM], "resources": {"limits": {"nvidia.com/gpu": 2}}}
    assert problems(endpoint(engine=beside, scaling=scaling), ManifestDefaults()) == []
    assert problems(endpoint(engine={"resourceClaims": [CLAIM]}, scaling={"maxReplicas": 3}), ManifestDefaults()) == []


def test_the_count_belongs_to_the_scaler() -> None:
    assert "replicas" not in child("Deployment", "llama-engine")["spec"]


def test_a_surge_never_drops_below_what_serves() -> None:
    surge = child("Deployment", "llama-engine")["spec"]["strategy"]["rollingUpdate"]
    assert surge == {"maxSurge": 1, "maxUnavailable": 0}
    assert child("Deployment", "llama-engine", engine={"rollout": "Recreate"})["spec"]["strategy"] == {
        "type": "Recreate"
    }


def test_secrets_are_passed_by_reference() -> None:
    env = engine_pod(model={"source": "hf://a/b", "tokenSecretRef": {"name": "hf", "key": "token"}})["containers"][0][
        "env"
    ]
    assert {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hf", "key": "token"}}} in env


def test_a_pod_template_is_merged_by_name_and_keeps_the_selector() -> None:
    template = {
        "metadata": {"labels": {"llmendpoint.dev/endpoint": "other", "team": "a"}},
        "spec": {"containers": [{"name": "engine", "tty": True}, {"name": "proxy", "image": "p"}]},
    }
    made = child("Deployment", "llama-engine", engine={"podTemplate": template})["spec"]["template"]
    assert [container["name"] for container in made["spec"]["containers"]] == ["engine", "proxy"]
    assert made["spec"]["containers"][0]["tty"] is True
    assert made["metadata"]["labels"]["llmendpoint.dev/endpoint"] == "llama"
    assert made["metadata"]["labels"]["team"] == "a"


def test_the_business_service_finds_the_engine() -> None:
    separate = child("Deployment", "llama-business", business={"image": "rag"})["spec"]["template"]["spec"]
    env = {entry["name"]: entry.get("value") for entry in separate["containers"][0]["env"]}
    assert env["LLM_BASE_URL"] == "http://llama-engine.team.svc:80"
    assert env["OPENAI_BASE_URL"] == "http://llama-engine.team.svc:80/v1"
    (sidecar,) = engine_pod(business={"image": "rag", "port": 9000, "placement": "Sidecar"})["containers"]
    env = {entry["name"]: entry.get("value") for entry in sidecar["env"]}
    assert env["LLM_BASE_URL"] == "http://127.0.0.1:8000"


def test_beside_the_business_service_the_engine_is_there_first_and_last() -> None:
    business = {"image": "rag", "port": 8001, "placement": "Sidecar"}
    template = {
        "spec": {
            "initContainers": [{"name": "fetch", "image": "f"}],
            "containers": [{"name": "engine", "tty": True}, {"name": "proxy", "image": "p"}],
        }
    }
    pod = engine_pod(business=business, engine={"podTemplate": template, "preStopSeconds": 7, "drainSeconds": 90})
    assert [container["name"] for container in pod["containers"]] == ["business", "proxy"]
    fetch, engine = pod["initContainers"]
    assert fetch == {"name": "fetch", "image": "f"}
    assert (engine["name"], engine["restartPolicy"], engine["tty"]) == ("engine", "Always", True)
    assert {"startupProbe", "readinessProbe", "lifecycle"} <= engine.keys()
    assert pod["terminationGracePeriodSeconds"] == 7 + 90 + 15


def test_services_find_the_engine_in_every_placement() -> None:
    def target(name: str, **spec: Any) -> Any:
        return child("Service", name, **spec)["spec"]["ports"][0]["targetPort"]

    sidecar = {"image": "rag", "port": 8001, "placement": "Sidecar"}
    assert (target("llama"), target("llama-engine")) == ("http", "http")
    assert target("llama", business=sidecar) == "business"
    assert target("llama-engine", business=sidecar) == 8000
    assert target("llama-engine", business=sidecar, engine={"type": "TGI"}) == 8080


@pytest.mark.parametrize(("placement", "seconds"), [("Separate", 900 + 300), ("Sidecar", 300)])
def test_a_business_service_may_wait_for_the_engine(placement: str, seconds: int) -> None:
    spec = {"business": {"image": "rag", "port": 8001, "placement": placement}}
    pod = child("Deployment", "llama-business" if placement == "Separate" else "llama-engine", **spec)["spec"][
        "template"
    ]
    probe = pod["spec"]["containers"][0]["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] == seconds


@pytest.mark.parametrize(
    ("resources", "cpu"),
    [
        (None, "500m"),
        ({"limits": {"memory": "1Gi"}, "requests": {"memory": "1Gi"}}, "500m"),
        ({"requests": {"cpu": 2}}, 2),
        ({"limits": {"cpu": 2}}, None),
    ],
)
def test_an_autoscaled_business_service_requests_cpu(resources: dict[str, Any] | None, cpu: Any) -> None:
    def requests(**replicas: int) -> dict[str, Any]:
        business = {"image": "rag", "replicas": replicas, "resources": resources}
        pod = child("Deployment", "llama-business", business=business)["spec"]["template"]["spec"]
        made: dict[str, Any] = pod["containers"][0].get("resources", {}).get("requests", {})
        return made

    given = (resources or {}).get("requests", {})
    assert requests(min=1, max=1) == given
    assert requests(min=1, max=3) == given | ({"cpu": cpu} if cpu else {})


@pytest.mark.parametrize(("bounds", "ours"), [((1, 1), 1), ((1, 3), None), ((4, 4), None), ((4, 8), None)])
def test_a_count_that_can_be_withdrawn_without_loss_is_the_only_one_applied(
    bounds: tuple[int, int], ours: int | None
) -> None:
    business = {"image": "rag", "replicas": {"min": bounds[0], "max": bounds[1]}}
    assert child("Deployment", "llama-business", business=business)["spec"].get("replicas") == ours
    autoscalers = [
        body for body in children(endpoint(business=business), ManifestDefaults()) if "scaleTargetRef" in body["spec"]
    ]
    assert [(body["spec"]["minReplicas"], body["spec"]["maxReplicas"]) for body in autoscalers] == (
        [] if ours else [bounds]
    )


@pytest.mark.parametrize(
    ("source", "loaded", "served"),
    [
        ("hf://acme/llama", "acme/llama", "acme/llama"),
        ("pvc://models/llama-8b/", "/models/llama-8b", "llama-8b"),
        ("pvc://llama", "/models", "llama"),
        ("s3://bucket/teams/llama", "s3://bucket/teams/llama", "llama"),
        ("oci://registry.example/acme/llama:3", "/models", "llama:3"),
    ],
)
def test_vllm_answers_to_the_name_that_clients_are_told(source: str, loaded: str, served: str) -> None:
    spec = {"model": {"source": source}, "business": {"image": "rag"}}
    args = engine_pod(**spec)["containers"][0]["args"]
    assert args[:2] == [loaded, f"--served-model-name={served}"]
    business = child("Deployment", "llama-business", **spec)["spec"]["template"]["spec"]["containers"][0]
    assert {"name": "LLM_MODEL", "value": served} in business["env"]
    assert served_model(endpoint(**spec).spec) == served


def test_the_name_that_clients_send_can_be_chosen() -> None:
    args = engine_pod(model={"source": "hf://acme/llama", "servedName": "tiny"})["containers"][0]["args"]
    assert args[:2] == ["acme/llama", "--served-model-name=tiny"]


def test_the_simulator_takes_the_engines_place_only_when_told() -> None:
    images = {"vLLM": "sim:dev"}
    given = {"engine": {"image": "vllm:mine"}}

    def image(defaults: ManifestDefaults, **spec: Any) -> str:
        made = child("Deployment", "llama-engine", defaults, **spec)
        return str(made["spec"]["template"]["spec"]["containers"][0]["image"])

    assert image(ManifestDefaults(images)) == "sim:dev"
    assert image(ManifestDefaults(images), **given) == "vllm:mine"
    assert image(ManifestDefaults(images, engine_image_override=True), **given) == "sim:dev"


def test_a_source_that_the_engine_can_not_load_is_a_problem() -> None:
    assert problems(endpoint(model={"source": "s3://bucket/x"}, engine={"type": "TGI"}), ManifestDefaults()) == [
        "TGI can not load a model from s3://: set model.cache.prefetch, use one of hf://, oci://, pvc://, "
        "or another engine.type"
    ]


@pytest.mark.parametrize(("kind", "refused"), [("TGI", True), ("vLLM", False)])
@pytest.mark.parametrize("target", ["TTFTP95Seconds", "KVCacheUtilization"])
def test_a_target_that_the_engine_does_not_report_is_a_problem(kind: str, refused: bool, target: str) -> None:
    settings = {"maxReplicas": 3, "policy": "TargetTracking", "targets": [{"type": target, "value": 0.5}]}
    wrong = problems(endpoint(engine={"type": kind}, scaling=settings), ManifestDefaults())
    assert [f"{kind} does not report" in sentence and target in sentence for sentence in wrong] == [True] * refused


def test_the_url_is_that_of_the_front_service() -> None:
    assert service_url(endpoint()) == "http://llama.team.svc:80"


ASYNC: dict[str, Any] = {"async": {}}


def arguments(component: str, **spec: Any) -> list[str]:
    pod = child("Deployment", f"llama-{component}", **spec)["spec"]["template"]["spec"]
    found: list[str] = pod["containers"][0]["args"]
    return found


def variables(component: str, **spec: Any) -> set[str]:
    pod = child("Deployment", f"llama-{component}", **spec)["spec"]["template"]["spec"]
    return {entry["name"] for entry in pod["containers"][0]["env"]}


def test_workers_wake_no_sleeping_endpoint_because_its_backlog_does() -> None:
    assert "--engine-url=http://llama-engine.team.svc:80" in arguments("worker", **ASYNC)
    sleeps = {"scaling": {"minReplicas": 0, "maxReplicas": 2}}
    assert "--engine-url=http://llama-replicas.team.svc:80" in arguments("worker", **ASYNC, **sleeps)


def test_a_worker_may_finish_the_longest_try_that_it_has() -> None:
    spec = {"async": {"timeoutSeconds": 900}}
    pod = child("Deployment", "llama-worker", **spec)["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] == 915
    assert {"--timeout=900", "--grace=900"} <= set(arguments("worker", **spec))


def test_a_redis_of_the_user_s_is_no_child() -> None:
    spec = {"async": {"redis": {"urlSecretRef": {"name": "redis", "key": "url"}}}}
    found = {body["metadata"]["name"] for body in children(endpoint(**spec), ManifestDefaults())}
    assert "llama-queue" in found
    assert "llama-redis" not in found
    assert "llama-redis" in {body["metadata"]["name"] for body in children(endpoint(**ASYNC), ManifestDefaults())}


def test_the_api_knows_the_hosts_of_webhooks_and_workers_sign_what_they_send() -> None:
    hook = {"secretRef": {"name": "hook", "key": "key"}, "allowedHosts": ["a.example", "*.b.example"]}
    spec = {"async": {"webhook": hook}}
    assert {"--webhooks", "--webhook-hosts=a.example,*.b.example"} <= set(arguments("queue", **spec))
    assert "--webhooks" in arguments("worker", **spec)
    assert [component for component in ("queue", "worker") if "WEBHOOK_SECRET" in variables(component, **spec)] == [
        "worker"
    ]
    assert "--webhooks" not in arguments("queue", **ASYNC) + arguments("worker", **ASYNC)


def test_the_business_service_is_told_where_jobs_are_taken() -> None:
    spec = {**ASYNC, "business": {"image": "rag"}}
    pod = child("Deployment", "llama-business", **spec)["spec"]["template"]["spec"]
    assert {"name": "LLM_ASYNC_URL", "value": "http://llama-queue.team.svc:80"} in pod["containers"][0]["env"]

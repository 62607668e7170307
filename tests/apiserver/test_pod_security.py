"""What runs is admitted by the Pod Security Standards on a real API server, each at the level that is promised."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from llmendpoint.manifests import ManifestDefaults, children
from llmendpoint.manifests.batch import batch_job
from localcluster import tools
from localcluster.cluster import Cluster
from support.builders import batch, endpoint
from support.chart import of_kind, rendered
from support.endpoints import NAME, apply, condition, reason
from support.kube import eventually, get

pytestmark = pytest.mark.apiserver
# What a user adds for an image that needs no root.
NON_ROOT = {"podTemplate": {"spec": {"securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "fsGroup": 1000}}}}
FULL: dict[str, Any] = {
    "model": {"source": "hf://acme/llama", "cache": {"size": "1Gi"}},
    "business": {"image": "rag", "replicas": {"max": 3}},
}
SIDECAR = {"business": {"image": "rag", "port": 8001, "placement": "Sidecar"}}


@pytest.fixture(scope="module", params=["restricted", "baseline"])
def level(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture(scope="module")
def enforced(apiserver: Cluster, level: str) -> Iterator[str]:
    """A namespace in which the level is enforced."""
    name = f"pod-security-{level}"
    apiserver.kubectl("create", "namespace", name)
    apiserver.kubectl("label", "namespace", name, f"pod-security.kubernetes.io/enforce={level}")
    eventually(lambda: get(apiserver, "serviceaccount", "default", "-n", name))  # no pod without one
    yield name
    apiserver.kubectl("delete", "namespace", name, "--wait=false")


def refusal(cluster: Cluster, namespace: str, owner: dict[str, Any]) -> str:
    """Why the API server refuses the pods of a Deployment or a Job; nothing where it takes them."""
    template = owner["spec"]["template"]
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "asked", "namespace": namespace, "labels": template["metadata"]["labels"]},
        "spec": {**template["spec"], "serviceAccountName": "default"},
    }
    done = cluster.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(body), check=False)
    return done.stderr if done.returncode else ""


def deployments(**spec: Any) -> dict[str, dict[str, Any]]:
    made = of_kind(children(endpoint(**spec), ManifestDefaults()), "Deployment")
    return {body["metadata"]["name"]: body for body in made}


def test_the_operator_is_admitted(apiserver: Cluster, enforced: str) -> None:
    tools.ensure(tools.HELM)
    (operator,) = of_kind(rendered(), "Deployment")
    assert refusal(apiserver, enforced, operator) == ""


def test_the_business_service_is_admitted(apiserver: Cluster, enforced: str) -> None:
    assert refusal(apiserver, enforced, deployments(**FULL)["llama-business"]) == ""


def test_the_activator_is_admitted(apiserver: Cluster, enforced: str) -> None:
    made = deployments(scaling={"minReplicas": 0, "maxReplicas": 2})
    assert refusal(apiserver, enforced, made["llama-activator"]) == ""


@pytest.mark.parametrize("component", ["queue", "worker", "redis"])
def test_what_takes_and_does_jobs_is_admitted(apiserver: Cluster, enforced: str, component: str) -> None:
    assert refusal(apiserver, enforced, deployments(**{"async": {}})[f"llama-{component}"]) == ""


def test_the_workers_of_a_batch_are_admitted(apiserver: Cluster, enforced: str) -> None:
    assert refusal(apiserver, enforced, batch_job(batch(), endpoint(), ManifestDefaults())) == ""


@pytest.mark.parametrize(
    "source", ["hf://acme/llama", "pvc://models/llama", "s3://bucket/llama", "oci://models.test/a:1"]
)
@pytest.mark.parametrize("more", [{}, SIDECAR], ids=["alone", "sidecar"])
def test_an_engine_is_admitted_that_runs_as_somebody(
    apiserver: Cluster, enforced: str, source: str, more: dict[str, Any]
) -> None:
    made = deployments(model={"source": source}, engine=NON_ROOT, **more)
    assert refusal(apiserver, enforced, made["llama-engine"]) == ""


@pytest.mark.parametrize("more", [{}, SIDECAR], ids=["alone", "sidecar"])
@pytest.mark.parametrize("engine", ["vLLM", "TGI"])
def test_an_engine_as_it_is_lacks_nothing_but_a_user_of_its_own(
    apiserver: Cluster, enforced: str, level: str, engine: str, more: dict[str, Any]
) -> None:
    said = refusal(apiserver, enforced, deployments(engine={"type": engine}, **more)["llama-engine"])
    if level == "baseline":
        assert said == ""
    else:
        assert said.partition('violates PodSecurity "restricted:latest": ')[2].startswith("runAsNonRoot != true")
        assert said.count("(pod or container") == 1


def test_what_a_restricted_namespace_refuses_is_told_with_what_to_do(apiserver: Cluster, namespace: str) -> None:
    apiserver.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    apply(apiserver, namespace)
    eventually(lambda: reason(apiserver, namespace) == "PodsRefused")
    message = condition(apiserver, namespace, "Ready")["message"]
    assert 'violates PodSecurity "restricted:latest"' in message
    assert "engine.podTemplate" in message
    apply(apiserver, namespace, engine=NON_ROOT)
    eventually(lambda: reason(apiserver, namespace) == "AllReplicasReady", 90)
    pods = get(apiserver, "pods", "-n", namespace)["items"]
    assert {pod["metadata"]["labels"]["llmendpoint.dev/endpoint"] for pod in pods} == {NAME}

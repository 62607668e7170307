"""A pod template that asks for privileges, on a real API server: refused as data, and only the count may change."""

import pytest

from localcluster.cluster import Cluster
from support.endpoints import NAME, apply, condition, reason
from support.kube import eventually, get

pytestmark = pytest.mark.apiserver
HOST_PATH = {"spec": {"volumes": [{"name": "node", "hostPath": {"path": "/"}}]}}
SENTENCE = "engine.podTemplate.spec.volumes[node] must not be of type hostPath: use a persistentVolumeClaim"


def test_a_host_path_is_refused_by_condition_and_event_and_what_serves_stays(
    apiserver: Cluster, namespace: str
) -> None:
    def engine() -> tuple[int, list[str]]:
        deployment = get(apiserver, "deployment", f"{NAME}-engine", "-n", namespace)
        pods = get(apiserver, "pods", "-n", namespace)["items"]
        return deployment["metadata"]["generation"], sorted(pod["metadata"]["uid"] for pod in pods)

    apply(apiserver, namespace)
    eventually(lambda: reason(apiserver, namespace) == "AllReplicasReady")
    before = engine()
    apply(apiserver, namespace, engine={"podTemplate": HOST_PATH, "env": [{"name": "A", "value": "1"}]})
    eventually(lambda: reason(apiserver, namespace) == "InvalidSpec")
    assert condition(apiserver, namespace, "Ready")["message"].startswith(SENTENCE)

    def told() -> bool:
        events = get(apiserver, "events.events.k8s.io", "-n", namespace)["items"]
        return any(event["reason"] == "InvalidSpec" and event["note"].startswith(SENTENCE) for event in events)

    eventually(told)
    assert engine() == before
    # What serves goes on being scaled, as it is.
    apply(apiserver, namespace, engine={"podTemplate": HOST_PATH}, replicas=2)
    eventually(lambda: len(engine()[1]) == 2)
    assert set(before[1]) < set(engine()[1])
    apply(apiserver, namespace, engine={"env": [{"name": "A", "value": "1"}]})
    eventually(lambda: reason(apiserver, namespace) == "AllReplicasReady")
    assert engine()[0] > before[0]

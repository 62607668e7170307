"""The LeaderWorkerSet that runs the engine where a replica takes several nodes: a group of pods, of which one serves.

https://lws.sigs.k8s.io/docs/concepts/
"""

import inspect

from llmendpoint.api import names
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.engines import engine_for
from llmendpoint.manifests import worker_pre_stop
from llmendpoint.manifests.adapters import ADAPTERS_CONTAINER
from llmendpoint.manifests.common import Manifest, ManifestDefaults, metadata
from llmendpoint.manifests.engine import ENGINE_CONTAINER, EXIT_SECONDS, engine_metadata, serving_template

API_VERSION = "leaderworkerset.x-k8s.io/v1"
KIND = "LeaderWorkerSet"
# The StatefulSet of a group's workers is named after the endpoint and the group, and that name with a hash after it is
# the value of a label: 63 less "-engine", "-9999" and "-" with ten characters.
LONGEST_NAME = 40
# A sleep would go on after the leader is done: a kubelet that is told of a shorter grace period does not end it. And
# not each image has a shell.
_UNTIL_LEADER_IS_DONE = inspect.getsource(worker_pre_stop)
# What a pod does not have that nobody sends requests to.
_SERVING = frozenset({"ports", "startupProbe", "readinessProbe", "livenessProbe"})


def leader_worker_set(endpoint: Endpoint, defaults: ManifestDefaults) -> Manifest:
    """The engine's LeaderWorkerSet. spec.replicas, which are groups, is left out: the scaler owns it."""
    engine = endpoint.spec.engine
    leader = serving_template(endpoint, defaults)
    is_surge = engine.rollout == "Surge"
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": engine_metadata(endpoint),
        "spec": {
            # The leader is ready when its workers have joined it, so they can not wait for that.
            "startupPolicy": "LeaderCreated",
            "rolloutStrategy": {
                "type": "RollingUpdate",
                "rollingUpdateConfiguration": {"maxSurge": int(is_surge), "maxUnavailable": int(not is_surge)},
            },
            # A Service for each group. A shared one would have the name of the Service that leads to the engine.
            "networkConfig": {"subdomainPolicy": "UniquePerReplica"},
            "leaderWorkerTemplate": {
                "size": engine.nodes_per_replica,
                "restartPolicy": "RecreateGroupOnPodRestart",
                "leaderTemplate": leader,
                "workerTemplate": _worker_template(endpoint, leader),
            },
        },
    }


def name_problems(endpoint: Endpoint) -> list[str]:
    """Why the pods of a group could not be created under their names."""
    if not endpoint.spec.engine.is_spread or len(endpoint.name) <= LONGEST_NAME:
        return []
    return [
        f"engine.nodesPerReplica above 1 needs a name of at most {LONGEST_NAME} characters, because the pods of a "
        f"group are named after the endpoint, and this one has {len(endpoint.name)}: give the endpoint a shorter name"
    ]


def _worker_template(endpoint: Endpoint, leader: Manifest) -> Manifest:
    """The leader's template, but for what it serves with.

    A worker that goes takes the streams of its whole group with it. So it stays until its leader has finished them, or
    has had its time.
    """
    labels = metadata(endpoint, "", names.COMPONENT_ENGINE_WORKER)["labels"]
    containers = [
        _headless(endpoint, entry) if entry["name"] == ENGINE_CONTAINER else entry
        for entry in leader["spec"]["containers"]
        if entry["name"] != ADAPTERS_CONTAINER  # the leader's has the engine load them on all nodes
    ]
    return {
        "metadata": {**leader["metadata"], "labels": {**leader["metadata"]["labels"], **labels}},
        "spec": {
            **leader["spec"],
            "containers": containers,
            "terminationGracePeriodSeconds": leader["spec"]["terminationGracePeriodSeconds"] + EXIT_SECONDS,
        },
    }


def _headless(endpoint: Endpoint, serving: Manifest) -> Manifest:
    spec, facts = endpoint.spec, engine_for(endpoint.spec.engine.type)
    arguments = facts.worker_arguments or facts.arguments
    wait = ["python3", "-I", "-c", _UNTIL_LEADER_IS_DONE, str(facts.port), str(facts.rendezvous_port), "1"]
    return {
        **{field: value for field, value in serving.items() if field not in _SERVING},
        "args": [*arguments(spec), *spec.engine.args],
        "lifecycle": {**serving["lifecycle"], "preStop": {"exec": {"command": wait}}},
    }

"""A replica over several nodes: what the engines are told, what is written, counted and said of groups of pods."""

import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest

from llmendpoint.api import names
from llmendpoint.api.conditions import ConditionType
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.cli.replica_gpus import replica_gpus as rendered_gpus
from llmendpoint.engines import engine_for
from llmendpoint.manifests import ManifestDefaults, children, engine_workload, problems, worker_pre_stop
from llmendpoint.reconcile.observation import Observation, observe
from llmendpoint.reconcile.plan import Plan, Scale, make_plan
from llmendpoint.reconcile.quota import promised_to, replica_gpus, room_in
from llmendpoint.reconcile.status import Outcome, make_status
from llmendpoint.reconcile.usage import gpus_held
from support.builders import CREATED, endpoint, pod
from support.stored import stored

GROUP, DEPLOYMENT = ("LeaderWorkerSet", "llama-engine"), ("Deployment", "llama-engine")
SERVED = frozenset({"LeaderWorkerSet"})
EIGHT = {"resources": {"limits": {"nvidia.com/gpu": 8}}}
DONE = {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2}


def spread(nodes: int = 2, **engine: Any) -> Endpoint:
    return endpoint(engine={"nodesPerReplica": nodes, **EIGHT, **engine})


def leader(group: int, **situation: Any) -> dict[str, Any]:
    return member(f"llama-engine-{group}", names.COMPONENT_ENGINE, group, **situation)


def worker(group: int, index: int = 1, **situation: Any) -> dict[str, Any]:
    return member(f"llama-engine-{group}-{index}", names.COMPONENT_ENGINE_WORKER, group, **situation)


def member(name: str, component: str, group: int, **situation: Any) -> dict[str, Any]:
    body = pod(name, component=component, **situation)
    body["metadata"]["labels"]["leaderworkerset.sigs.k8s.io/group-index"] = str(group)
    limits = {"resources": {"limits": {"nvidia.com/gpu": "8"}}}
    body["spec"] = {"nodeName": f"node-{name}", "containers": [{"name": "engine", "ports": [], **limits}]}
    return body


def seen(
    of: Endpoint,
    *pods: dict[str, Any],
    made: tuple[Endpoint, ...] = (),
    served: frozenset[str] = SERVED,
    count: int = 2,
) -> Observation:
    """The children of ``of``, or of the endpoints in ``made``, with so many replicas ordered."""
    bodies = [stored(body, **DONE) for one in made or (of,) for body in children(one, ManifestDefaults())]
    for body in bodies:
        if body["metadata"]["name"] == "llama-engine" and "replicas" in body["spec"]:
            body["spec"]["replicas"] = count
    return observe(of, bodies, pods, served)


def plan(at: Observation, replicas: int | None = 2, **more: Any) -> Plan:
    return make_plan(
        at, **{"desired": children(at.endpoint, ManifestDefaults()), "replicas": replicas, "load": {}} | more
    )


def applied(made: Plan) -> set[tuple[str, str]]:
    return {(body["kind"], body["metadata"]["name"]) for body in made.applies}


def ready(at: Observation, **outcome: Any) -> tuple[str, str]:
    status = make_status(at, Outcome(**{"desired": 2, **outcome}), now=CREATED)
    found = next(entry for entry in status.conditions if entry.type == ConditionType.READY)
    return found.reason, found.message


# What the engines are told.


@pytest.mark.parametrize(
    ("args", "gpus", "split"),
    [
        ([], 8, {"--tensor-parallel-size=8", "--pipeline-parallel-size=2"}),
        ([], 1, {"--pipeline-parallel-size=2"}),
        ([], 0, {"--pipeline-parallel-size=2"}),
        (["--tensor-parallel-size=16"], 8, set()),
        (["-tp", "4"], 8, {"--pipeline-parallel-size=4"}),
        (["--pipeline-parallel-size=1"], 8, {"--tensor-parallel-size=16"}),
        (["-pp=4", "-tp=4"], 8, set()),
        (["--data-parallel-size=2"], 8, {"--tensor-parallel-size=4", "--pipeline-parallel-size=2"}),
    ],
)
def test_vllm_splits_by_tensors_within_a_node_and_by_layers_from_node_to_node(
    args: list[str], gpus: int, split: set[str]
) -> None:
    of = spread(args=args, resources={"limits": {"nvidia.com/gpu": gpus}})
    told = engine_for("vLLM").arguments(of.spec)
    assert {argument for argument in told if "parallel-size" in argument} == split
    assert told[-4:] == [
        "--nnodes=2",
        "--node-rank=$(LWS_WORKER_INDEX)",
        "--master-addr=$(LWS_LEADER_ADDRESS)",
        "--master-port=29501",
    ]


def test_sglang_is_told_the_size_over_all_nodes() -> None:
    told = engine_for("SGLang").arguments(spread(4, type="SGLang", args=["--tp=32"]).spec)
    assert told[-3:] == [
        "--nnodes=4",
        "--node-rank=$(LWS_WORKER_INDEX)",
        "--dist-init-addr=$(LWS_LEADER_ADDRESS):20000",
    ]
    assert not [argument for argument in told if argument.startswith(("--tp", "--pp"))]


def test_the_split_on_one_node_is_as_it_was() -> None:
    of = endpoint(engine={**EIGHT, "args": ["--tensor-parallel-size=4", "--data-parallel-size=2"]})
    assert not [told for told in engine_for("vLLM").arguments(of.spec) if "pipeline" in told or "nnodes" in told]


# The manifest.


def test_a_worker_serves_nobody_and_outlives_its_leaders_drain() -> None:
    of = spread(
        drainSeconds=600,
        podTemplate={"spec": {"containers": [{"name": "engine", "livenessProbe": {"periodSeconds": 30}}]}},
    )
    template = engine_workload(of, ManifestDefaults())["spec"]["leaderWorkerTemplate"]
    first, other = (template[part]["spec"] for part in ("leaderTemplate", "workerTemplate"))
    (engine,) = other["containers"]
    assert not engine.keys() & {"ports", "startupProbe", "readinessProbe", "livenessProbe"}
    assert "--headless" in engine["args"]
    assert "--api-server-count=1" not in engine["args"]
    assert "--headless" not in first["containers"][0]["args"]
    assert first["terminationGracePeriodSeconds"] == 620
    assert other["terminationGracePeriodSeconds"] > 620


@pytest.mark.parametrize(("host", "called"), [("::1", "::1"), ("127.0.0.1", "::ffff:127.0.0.1")])
def test_a_worker_waits_until_its_leader_listens_no_more_also_where_its_name_is_gone(host: str, called: str) -> None:
    template = engine_workload(spread(), ManifestDefaults())["spec"]["leaderWorkerTemplate"]["workerTemplate"]
    python, *program, port, joins, process = template["spec"]["containers"][0]["lifecycle"]["preStop"]["exec"][
        "command"
    ]
    assert (python, port, joins, process) == ("python3", "8000", "29501", "1")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with ExitStack() as open_still, ExitStack() as serving:
        leader = serving.enter_context(socket.create_server((host, 0), family=family))
        leader.settimeout(20)
        number = leader.getsockname()[1]
        rendezvous = open_still.enter_context(socket.create_server((host, 0), family=family))
        # Another worker, which listens on the same port as the leader.
        other = open_still.enter_context(socket.create_server(("127.0.0.2", number)))
        for address in ((called, rendezvous.getsockname()[1]), other.getsockname()):
            open_still.enter_context(socket.create_connection(address[:2]))
        engine = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        command = [sys.executable, *program, str(number), str(rendezvous.getsockname()[1]), str(engine.pid)]
        waiting = subprocess.Popen(command, env={"LWS_LEADER_ADDRESS": "gone.invalid"}, stderr=subprocess.PIPE)
        for _ in range(3):
            leader.accept()[0].close()
        assert (waiting.poll(), engine.poll()) == (None, None)
        serving.close()
        assert engine.wait(20) == -signal.SIGTERM
        assert (waiting.communicate(timeout=20)[1], waiting.returncode) == (b"", 0)


def test_a_worker_without_a_leader_ends_at_once_also_where_its_engine_loses_a_signal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("LWS_LEADER_ADDRESS", "localhost")
    monkeypatch.setattr(worker_pre_stop, "AGAIN_SECONDS", 0.01)
    sent = iter([None, None, ProcessLookupError()])

    def kill(process: int, number: int) -> None:
        assert (process, number) == (7, signal.SIGTERM)
        if gone := next(sent):
            raise gone

    monkeypatch.setattr(os, "kill", kill)
    worker_pre_stop.main(port, port, 7)
    assert next(sent, None) is None


def test_the_names_of_a_groups_pods_have_their_bounds() -> None:
    long = Endpoint(**{**dict(spread()), "name": "a" * 41})
    (said,) = problems(long, ManifestDefaults())
    assert "at most 40 characters" in said
    assert problems(Endpoint(**{**dict(spread()), "name": "a" * 40}), ManifestDefaults()) == []
    assert problems(Endpoint(**{**dict(endpoint()), "name": "a" * 41}), ManifestDefaults()) == []


# Counting.


def test_gpus_are_those_of_all_nodes() -> None:
    at = seen(spread(3), leader(0), worker(0), worker(0, 2))
    assert replica_gpus(at) == rendered_gpus(at.endpoint) == {"nvidia.com/gpu": 24}
    assert gpus_held(at) == 24
    assert promised_to(at, 3) == {"nvidia.com/gpu": 48}


def test_replicas_that_make_way_take_nothing_from_those_that_follow() -> None:
    at = seen(spread(), *BEFORE, *AFTER[:2], made=(endpoint(engine=EIGHT), spread()))
    assert promised_to(at, 2) == {"nvidia.com/gpu": 16}
    amounts = {"requests.nvidia.com/gpu": "64"}
    status = {"hard": amounts, "used": {"requests.nvidia.com/gpu": "32"}}
    room = room_in([{"metadata": {"name": "gpus"}, "spec": {}, "status": status}], at, Counter())
    assert room is not None
    assert room.replicas == 3


def test_the_gpus_of_a_spec_that_makes_no_manifest_are_those_of_all_nodes() -> None:
    assert rendered_gpus(spread(model={"source": "s3://a/b"}, type="SGLang")) == {"nvidia.com/gpu": 16}


def test_replicas_are_groups() -> None:
    at = seen(spread(), leader(0), worker(0), leader(1, ready=False), worker(1))
    status = make_status(at, Outcome(desired=2), now=CREATED)
    assert (status.replicas, status.ready_replicas) == (2, 1)


# What is written.


def test_the_scaler_writes_the_number_of_groups_and_chooses_none() -> None:
    made = plan(seen(spread(), leader(0), leader(1)), 1, load={"llama-engine-0": 5.0})
    assert made.scale == Scale(GROUP, 2, 1)
    assert made.costs == {}


@pytest.mark.parametrize(
    ("beside", "evicted"),
    [
        ([leader(0)], []),
        ([leader(0, deleting=True)], []),
        ([leader(1)], ["llama-engine-0-1"]),
        ([leader(0, ready=False, containers=[])], ["llama-engine-0-1"]),
        ([], ["llama-engine-0-1"]),
    ],
    ids=["node drained", "leader drains", "leader gone", "next leader starts", "all gone"],
)
def test_a_worker_that_goes_stays_for_as_long_as_its_leader_may_have_streams(
    beside: list[dict[str, Any]], evicted: list[str]
) -> None:
    made = plan(seen(spread(), *beside, worker(0, deleting=True)))
    assert [view.name for view in made.evictions] == evicted


# From one node to several and back.

BEFORE, AFTER = [pod("llama-engine-a-1"), pod("llama-engine-a-2")], [leader(0), worker(0), leader(1), worker(1)]


@pytest.mark.parametrize(
    ("pods", "is_deleted"),
    [(BEFORE, False), ([*BEFORE, *AFTER[:2]], False), ([*BEFORE, *AFTER], True), ([], True)],
    ids=["none of the new", "half of the new", "all of the new", "old does not serve"],
)
def test_a_deployment_serves_until_all_groups_do(pods: list[dict[str, Any]], is_deleted: bool) -> None:
    at = seen(spread(), *pods, made=(endpoint(engine=EIGHT), spread()))
    made = plan(at)
    assert (DEPLOYMENT in made.deletes, made.scale) == (is_deleted, None)
    assert ready(at)[0] == "RollingOut"


def test_a_deployment_goes_where_no_group_is_wanted_any_more() -> None:
    at = seen(spread(), *BEFORE, made=(endpoint(engine=EIGHT), spread()), count=0)
    assert DEPLOYMENT in plan(at, 0).deletes


def test_the_way_back_is_the_same() -> None:
    one, several = endpoint(engine=EIGHT), spread()
    assert GROUP not in plan(seen(one, *AFTER, made=(one, several))).deletes
    assert GROUP in plan(seen(one, *AFTER, *BEFORE, made=(one, several))).deletes


def test_without_spare_gpus_the_deployment_goes_first_but_not_before_groups_can_be_made() -> None:
    one, several = endpoint(engine=EIGHT), spread(rollout="Recreate")
    assert DEPLOYMENT in plan(seen(several, *BEFORE, made=(one, several))).deletes
    assert DEPLOYMENT not in plan(seen(several, *BEFORE, made=(one,))).deletes


def test_a_new_set_is_ordered_as_many_groups_as_are_wanted() -> None:
    made = plan(seen(spread(), *BEFORE, made=(endpoint(engine=EIGHT),)), 3)
    assert GROUP in applied(made)
    assert made.scale == Scale(GROUP, None, 3)


# The kind is missing.


def test_an_endpoint_says_what_to_install() -> None:
    at = seen(spread(), made=(endpoint(),), served=frozenset())
    bare = replace(at, children={})
    assert GROUP not in applied(plan(bare))
    reason, message = ready(bare)
    assert reason == "LeaderWorkerSetMissing"
    assert "https://lws.sigs.k8s.io/docs/installation/" in message
    assert "serves on" not in message


def test_an_older_kind_that_tells_nothing_of_its_revision_is_named() -> None:
    groups = (leader(0), worker(0), leader(1), worker(1))
    at = seen(spread(), *groups)
    assert ready(at)[0] == "AllReplicasReady"
    del at.children[GROUP]["status"]["observedGeneration"]
    reason, message = ready(at)
    assert reason == "LeaderWorkerSetMissing"
    assert "older than 0.9" in message


def test_what_served_before_serves_on_and_is_scaled_while_the_kind_is_missing() -> None:
    at = seen(spread(), *BEFORE, made=(endpoint(engine=EIGHT),), served=frozenset())
    made = plan(at, 3)
    assert (GROUP in applied(made), made.deletes, made.scale) == (False, (), Scale(DEPLOYMENT, 2, 3))
    assert ready(at)[1].endswith("its Deployment serves on until then")


# What is said.


def test_a_worker_that_no_node_takes_is_named() -> None:
    lacks = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.",
    }
    at = seen(spread(), leader(0, ready=False), worker(0, ready=False, conditions=[lacks], containers=[]))
    reason, message = ready(at)
    assert reason == "Unschedulable"
    assert "llama-engine-0-1" in message
    assert "engine.resources" in message


def test_what_a_group_ended_with_is_told_while_it_starts_anew() -> None:
    ended = {
        "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "message": "NCCL error\n"}},
        "restartCount": 1,
    }
    engine = {"name": "engine", "image": "i", "ready": True, "started": True, "state": {"running": {}}, **ended}
    at = seen(spread(), leader(0, ready=False, containers=[]), worker(0, deleting=True, containers=[engine]))
    reason, message = ready(at)
    assert reason == "CrashLoop"
    assert "llama-engine-0-1 keeps exiting (exit code 1: NCCL error): its group starts anew each time" in message
    said = {"type": "Ready", "status": "False", "reason": reason, "message": message, "lastTransitionTime": CREATED}
    for generation, expected in ((1, "CrashLoop"), (0, "ReplicasStarting")):
        status = {"conditions": [{**said, "observedGeneration": generation}]}
        of = endpoint(status=status, engine={"nodesPerReplica": 2, **EIGHT})
        assert ready(seen(of, leader(0, ready=False, containers=[]), worker(0)))[0] == expected
        assert ready(seen(of, leader(0), worker(0), leader(1), worker(1)))[0] == "AllReplicasReady"


def test_a_group_that_was_told_to_go_is_no_failure() -> None:
    exited = {
        "name": "engine",
        "image": "i",
        "ready": False,
        "state": {"terminated": {"exitCode": 0, "reason": "Completed"}},
    }
    going = [leader(2, deleting=True, containers=[exited]), worker(2, deleting=True)]
    assert ready(seen(spread(), leader(0), worker(0), leader(1), worker(1), *going))[0] == "AllReplicasReady"


def test_pods_that_were_not_created_are_looked_for_in_the_right_place() -> None:
    _, message = ready(seen(spread(), leader(0), worker(0)))
    assert message == (
        "1 of 2 engine replicas are ready; 2 pods of their groups do not exist yet: if that stays so, see kubectl "
        "describe statefulset -l leaderworkerset.sigs.k8s.io/name=llama-engine"
    )

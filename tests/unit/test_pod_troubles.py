"""What a pod's status means and what a person can do about it; the texts are those of a real kubelet and scheduler."""

import re
from typing import Any

import pytest

from llmendpoint.api.conditions import Reason
from llmendpoint.api.names import (
    COMPONENT_ACTIVATOR,
    COMPONENT_BUSINESS,
    COMPONENT_ENGINE,
    COMPONENT_QUEUE,
    COMPONENT_REDIS,
    COMPONENT_WORKER,
    LABEL_COMPONENT,
)
from llmendpoint.reconcile.observation import observe, view_of
from llmendpoint.reconcile.status import Outcome, make_status
from llmendpoint.reconcile.trouble import Trouble, creation_trouble, pod_trouble
from support.builders import endpoint, pod

UNPACK = 'failed to pull and unpack image "registry.invalid/none:1": '
LOOKUP = (
    'failed to resolve image: failed to do request: Head "https://registry.invalid/v2/none/manifests/1": dial tcp: '
    "lookup registry.invalid on 10.255.255.53:53: read udp 10.241.80.2:{}->10.255.255.53:53: i/o timeout"
)
BACK_OFF = 'Back-off pulling image "registry.invalid/none:1": ErrImagePull: '
GRACE = 80


def trouble(containers: list[dict[str, Any]], **spec: Any) -> Trouble:
    made = pod(ready=False, containers=containers)
    made["spec"] = {"terminationGracePeriodSeconds": GRACE}
    found = pod_trouble(endpoint(**spec).spec, [view_of(made)])
    assert found is not None
    return found


def waiting(reason: str, message: str, name: str = "engine") -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": message}}
    return {"name": name, "image": "registry.invalid/none:1", "ready": False, "state": state}


def ended(seconds: int, code: int, **state: Any) -> dict[str, Any]:
    """A container that lived for so long and is started again."""
    times = {"startedAt": "2025-06-15T15:00:00Z", "finishedAt": f"2025-06-15T15:{seconds // 60:02}:{seconds % 60:02}Z"}
    last = {"terminated": {"exitCode": code, "reason": "Error", **times, **state}}
    return {"name": "engine", "image": "i", "ready": False, "state": {"running": {}}, "lastState": last}


def unschedulable(message: str, component: str = COMPONENT_ENGINE, **spec: Any) -> Trouble:
    scheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    made = pod(ready=False, containers=[], conditions=[scheduled], component=component)
    found = pod_trouble(endpoint(**spec).spec, [view_of(made)])
    assert found is not None
    return found


def test_every_try_to_pull_from_an_unreachable_registry_reads_the_same() -> None:
    tries = [
        waiting("ErrImagePull", UNPACK + LOOKUP.format(51135)),
        waiting("ImagePullBackOff", BACK_OFF + UNPACK + LOOKUP.format(51135)),
        waiting("ErrImagePull", UNPACK + LOOKUP.format(47124)),
    ]
    messages = {trouble([status]).message for status in tries}
    assert messages == {
        "image registry.invalid/none:1 of pod llama-engine-1 can not be pulled (dial tcp: lookup registry.invalid: "
        "i/o timeout): check that the nodes reach the registry, or name another one in engine.image"
    }


@pytest.mark.parametrize(
    ("reason", "message", "container", "advice"),
    [
        (
            "ErrImagePull",
            f'{UNPACK}failed to resolve reference "registry.invalid/none:1": registry.invalid/none:1: not found',
            "engine",
            "correct the name or the tag in engine.image",
        ),
        (
            "ErrImagePull",
            f"{UNPACK}failed to authorize: failed to fetch anonymous token: unexpected status: 401 Unauthorized",
            "business",
            "give the registry's credentials in engine.imagePullSecrets, and check the name in business.image",
        ),
        (
            "ErrImagePull",
            f"{UNPACK}failed to authorize: failed to fetch anonymous token: unexpected status: 401 Unauthorized",
            "activator",
            "credentials in engine.imagePullSecrets, and check the name in image of the operator's chart",
        ),
        ("InvalidImageName", 'Failed to apply default image tag "A:B:C"', "engine", "correct the name or the tag"),
        ("ErrImageNeverPull", "", "engine", "(ErrImageNeverPull): check engine.image"),
    ],
)
def test_an_image_that_can_not_be_pulled_says_what_to_do(
    reason: str, message: str, container: str, advice: str
) -> None:
    found = trouble([waiting(reason, message, container)])
    assert found.reason is Reason.IMAGE_PULL_FAILED
    assert advice in found.message


@pytest.mark.parametrize(
    ("seconds", "code", "reason"),
    [
        (598, 143, Reason.STARTUP_TIMEOUT),
        (605, 137, Reason.STARTUP_TIMEOUT),
        (680, 0, Reason.STARTUP_TIMEOUT),
        (20, 137, Reason.CRASH_LOOP),
        (605, 1, Reason.CRASH_LOOP),
        (1800, 137, Reason.CRASH_LOOP),  # it was ready, and its liveness probe failed
    ],
)
def test_only_a_container_that_was_stopped_at_the_limit_was_too_slow(seconds: int, code: int, reason: Reason) -> None:
    assert trouble([ended(seconds, code)], engine={"startupTimeoutSeconds": 600}).reason is reason


def test_a_crash_loop_ends_with_the_last_words_and_the_command_for_more() -> None:
    last_words = 'Traceback (most recent call last):\n  File "x"\nValueError: no such quantization\n'
    assert trouble([ended(3, 1, message=last_words)]).message == (
        "container engine of pod llama-engine-1 keeps exiting (exit code 1: ValueError: no such quantization): "
        "see kubectl logs llama-engine-1 -c engine --previous"
    )


def test_an_old_ending_of_a_container_that_is_up_again_is_no_trouble() -> None:
    oom = ended(3600, 137, reason="OOMKilled")
    assert trouble([oom]).reason is Reason.OUT_OF_MEMORY
    blip = pod(ready=False, containers=[{**oom, "started": True}])
    assert pod_trouble(endpoint().spec, [view_of(blip)]) is None


@pytest.mark.parametrize(
    ("container", "field"),
    [
        ("activator", "lower scaling.activator.maxRequests"),
        ("worker", "lower async.workers.concurrency"),
        ("redis", "name a larger one in async.redis.urlSecretRef"),
        ("engine", "raise engine.resources.limits.memory"),
        ("business", "raise business.resources.limits.memory"),
        ("tunnel", "raise its resources.limits.memory in engine.podTemplate"),
    ],
)
def test_a_container_without_enough_memory_says_what_to_do(container: str, field: str) -> None:
    found = trouble([{**ended(60, 137, reason="OOMKilled"), "name": container}])
    assert found.reason is Reason.OUT_OF_MEMORY
    assert found.message.endswith(field)


@pytest.mark.parametrize(
    ("code", "reason", "cause"),
    [
        (0, "Completed", "it exits with code 0, as if done"),
        (1, "Error", "exit code 1"),
        (128, "StartError", "exit code 128"),
        (137, "ContainerStatusUnknown", "exit code 137"),
    ],
)
def test_a_crash_loop_says_how_it_ends(code: int, reason: str, cause: str) -> None:
    unknown = {"startedAt": None, "finishedAt": None} if reason == "ContainerStatusUnknown" else {}
    found = trouble([ended(3, code, reason=reason, **unknown)])
    assert found.reason is Reason.CRASH_LOOP
    assert f"keeps exiting ({cause})" in found.message


def test_a_path_of_a_claim_without_a_model_is_named() -> None:
    said = "ValueError: Invalid repository ID or local directory specified: '/models/llama'.\nPlease verify ..."
    found = trouble([ended(3, 1, message=said)], model={"source": "pvc://models/llama"})
    assert found.reason == Reason.MODEL_NOT_FOUND
    assert "finds no model at llama of PersistentVolumeClaim models: put one there" in found.message
    assert trouble([ended(3, 1, message=said)]).reason == Reason.CRASH_LOOP


def test_an_image_of_a_model_is_named_in_place_of_the_engines() -> None:
    said = 'Back-off pulling image "registry.invalid/llama:8b": ErrImagePull: not found'
    found = trouble([waiting("ImagePullBackOff", said)], model={"source": "oci://registry.invalid/llama:8b"})
    assert found.message.startswith("image registry.invalid/llama:8b of pod")
    assert "model.source" in found.message


def test_a_cluster_without_image_volumes_is_told_what_it_lacks() -> None:
    said = "apply Deployment llama-engine: spec.template.spec.volumes[3]: Required value: must specify a volume type"
    failure = Trouble(Reason.APPLY_FAILED, said)
    for source, message in (("oci://registry.invalid/llama:8b", "feature gate ImageVolume"), ("pvc://a/b", said)):
        of = endpoint(model={"source": source})
        status = make_status(observe(of, [], []), Outcome(1, failure=failure), now="2025-06-15T15:00:00Z")
        assert message in next(entry.message for entry in status.conditions if entry.type == "Ready")


def test_an_init_container_that_crashes_is_named() -> None:
    made = pod(ready=False, containers=[waiting("PodInitializing", "")])
    made["status"]["initContainerStatuses"] = [{**ended(3, 1, message="no route to host"), "name": "fetch"}]
    found = pod_trouble(endpoint().spec, [view_of(made)])
    assert found is not None
    assert "container fetch of pod llama-engine-1 keeps exiting (exit code 1: no route to host)" in found.message


ROOT = 'container has runAsNonRoot and image will run as root (pod: "llama-business-1_team(9f)", container: business)'
NAMED = (
    "container has runAsNonRoot and image has non-numeric user (app), cannot verify user is non-root (pod: "
    '"llama-business-1_team(9f)", container: business)'
)


@pytest.mark.parametrize(
    ("kind", "said", "reason", "sentence"),
    [
        ("ConfigError", 'secret "hf" not found', Reason.SECRET_NOT_FOUND, "Secret hf does not exist in this namespace"),
        ("ConfigError", 'configmap "site" not found', Reason.SECRET_NOT_FOUND, "ConfigMap site does not exist in"),
        ("ConfigError", "couldn't find key t in Secret team/hf", Reason.SECRET_NOT_FOUND, "Secret hf has no key t and"),
        ("ConfigError", "couldn't find key r in ConfigMap team/site", Reason.SECRET_NOT_FOUND, "ConfigMap site has no"),
        ("ConfigError", ROOT, Reason.CONTAINER_REFUSED, "build its image with a numeric USER other than 0"),
        ("ConfigError", NAMED, Reason.CONTAINER_REFUSED, "build its image with a numeric USER other than 0"),
        ("Error", "failed to mount: no such device", Reason.CONTAINER_REFUSED, "(failed to mount: no such device): "),
        ("Error", "", Reason.CONTAINER_REFUSED, "can not be created (CreateContainerError): "),
    ],
)
def test_a_container_that_can_not_be_created_says_why(kind: str, said: str, reason: Reason, sentence: str) -> None:
    found = trouble([waiting(f"CreateContainer{kind}", said, "business")])
    assert found.reason is reason
    assert sentence in found.message


def test_the_cause_that_a_person_must_remove_first_comes_first() -> None:
    """The rules are in an order, and each looks at all pods before the next one does."""
    crashing = pod("a", ready=False, containers=[ended(3, 1)])
    pulling = pod("b", ready=False, containers=[waiting("ErrImagePull", "not found")])
    starting = pod("c", ready=False, containers=[waiting("ContainerCreating", "")])
    views = [view_of(body) for body in (crashing, pulling, starting)]
    reasons = [found.reason for count in (3, 1) if (found := pod_trouble(endpoint().spec, views[:count]))]
    assert reasons == [Reason.IMAGE_PULL_FAILED, Reason.CRASH_LOOP]
    assert pod_trouble(endpoint().spec, views[2:]) is None


@pytest.mark.parametrize("situation", [{"ready": True}, {"ready": False, "deleting": True}])
def test_a_pod_that_serves_or_goes_is_in_no_trouble(situation: dict[str, bool]) -> None:
    made = pod(containers=[{**ended(3, 1), "name": "tunnel"}], **situation)
    assert pod_trouble(endpoint().spec, [view_of(made)]) is None


QUOTA = 'pods "llama-engine-6d-x" is forbidden: exceeded quota: gpus, requested: requests.nvidia.com/gpu=1, used: 1'
ADMISSION = 'pods "llama-engine-6d-x" is forbidden: violates PodSecurity "restricted:latest": unrestricted capabilities'

WEBHOOK = 'admission webhook "images.acme.test" denied the request: the image is not signed'


@pytest.mark.parametrize(
    ("status", "said", "reason", "sentence"),
    [
        ("True", QUOTA, Reason.QUOTA_EXCEEDED, "raise the quota or ask for fewer replicas (pods"),
        ("True", ADMISSION, Reason.PODS_REFUSED, "set what it names in engine.podTemplate.spec.securityContext"),
        ("True", WEBHOOK, Reason.PODS_REFUSED, "the API server refuses the pods: admission webhook"),
        ("False", QUOTA, None, ""),
    ],
)
def test_pods_that_can_not_even_be_created_are_reported(
    status: str, said: str, reason: Reason | None, sentence: str
) -> None:
    failure = {"type": "ReplicaFailure", "status": status, "reason": "FailedCreate", "message": said}
    found = creation_trouble({"status": {"conditions": [failure]}})
    assert (found and found.reason) == reason
    assert sentence in (found.message if found else "")


@pytest.mark.parametrize("deployment", [None, {}, {"status": {}}, {"status": {"conditions": []}}])
def test_a_deployment_that_says_nothing_is_no_trouble(deployment: dict[str, Any] | None) -> None:
    assert creation_trouble(deployment) is None


NO_GPU = (
    "0/3 nodes are available: 3 Insufficient nvidia.com/gpu. no new claims to deallocate, preemption: 0/3 nodes are "
    "available: 3 Preemption is not helpful for scheduling."
)


def test_a_short_resource_is_named_without_the_scheduler_s_asides() -> None:
    found = unschedulable(NO_GPU, scaling={"maxReplicas": 3}, engine={"rollout": "Recreate"})
    assert found.reason is Reason.UNSCHEDULABLE
    assert found.message == (
        "no node has enough nvidia.com/gpu for pod llama-engine-1: add nodes, free some, ask for less in "
        "engine.resources or lower scaling.maxReplicas (0/3 nodes are available: 3 Insufficient nvidia.com/gpu)"
    )
    assert "lower spec.replicas" in unschedulable(NO_GPU).message
    assert "set engine.rollout to Recreate" in unschedulable(NO_GPU).message


def test_two_short_resources_are_both_named() -> None:
    said = "0/2 nodes are available: 1 Insufficient cpu, 2 Insufficient memory. preemption: 0/2 nodes are available."
    assert "no node has enough cpu, memory for" in unschedulable(said).message


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (
            '0/1 nodes are available: persistentvolumeclaim "weights" not found. not found',
            "PersistentVolumeClaim weights does not exist in this namespace",
        ),
        ("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.", "waits for a volume"),
        (
            "0/1 nodes are available: 1 node(s) didn't find available persistent volumes to bind.",
            "check model.cache.storageClassName",
        ),
        ("0/2 nodes are available: 2 node(s) had volume node affinity conflict.", "waits for a volume"),
    ],
)
def test_a_volume_that_is_not_there_is_told_from_a_node_that_is_too_small(said: str, sentence: str) -> None:
    found = unschedulable(said)
    assert found.reason is Reason.VOLUME_PENDING
    assert sentence in found.message


def test_a_selector_that_no_node_has_is_reported() -> None:
    found = unschedulable("0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.")
    assert "check engine.nodeSelector and engine.tolerations" in found.message


def test_a_product_that_no_node_has_is_reported() -> None:
    said = "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."
    found = unschedulable(said, engine={"accelerator": "NVIDIA-L4"})
    assert "check engine.accelerator, engine.nodeSelector and engine.tolerations" in found.message


def test_a_claim_whose_devices_are_taken_is_reported() -> None:
    claims = [{"name": "gpu", "resourceClaimTemplateName": "one-gpu"}]
    said = (
        "0/4 nodes are available: 4 cannot allocate all claims. still not schedulable, preemption: 0/4 nodes are "
        "available: 4 Preemption is not helpful for scheduling."
    )
    found = unschedulable(said, engine={"resourceClaims": claims, "rollout": "Recreate"})
    assert found.reason is Reason.UNSCHEDULABLE
    assert found.message == (
        "no node takes pod llama-engine-1: add nodes or free some devices, and check engine.resourceClaims "
        "(0/4 nodes are available: 4 cannot allocate all claims)"
    )
    assert "set engine.rollout to Recreate" in unschedulable(said, engine={"resourceClaims": claims}).message


def test_a_claim_that_is_not_made_is_reported_until_it_is() -> None:
    def found() -> Trouble | None:
        return pod_trouble(endpoint().spec, [view_of(body)])

    body = pod(ready=False, containers=[], conditions=[])
    claims = [{"name": name, "resourceClaimTemplateName": f"one-{name}"} for name in ("gpu", "nic")]
    body["spec"] = {"resourceClaims": [*claims, {"name": "own", "resourceClaimName": "mine"}]}
    assert found() == Trouble(
        Reason.REPLICAS_STARTING,
        "pod llama-engine-1 waits for its claim of ResourceClaimTemplate one-gpu, one-nic: if it stays so, check that "
        "this exists in this namespace, the pod then starts by itself, or see kubectl describe pod llama-engine-1",
    )
    made = body["status"]["resourceClaimStatuses"] = [{"name": "gpu", "resourceClaimName": "llama-engine-1-gpu-x"}]
    assert "ResourceClaimTemplate one-nic:" in (found() or Trouble(Reason.SETTLED, "")).message
    made.append({"name": "nic", "resourceClaimName": "llama-engine-1-nic-x"})
    assert found() is None


def test_a_business_pod_without_a_node_is_told_of_its_own_fields() -> None:
    short = unschedulable(
        "0/1 nodes are available: 1 Insufficient cpu.", COMPONENT_BUSINESS, scaling={"maxReplicas": 3}
    )
    assert "ask for less in business.resources or lower business.replicas" in short.message
    tainted = unschedulable("0/1 nodes are available: 1 node(s) had untolerated taint(s).", COMPONENT_BUSINESS)
    assert "engine" not in tainted.message.removeprefix("no node takes pod llama-engine-1")


@pytest.mark.parametrize("component", [COMPONENT_ACTIVATOR, COMPONENT_QUEUE, COMPONENT_WORKER, COMPONENT_REDIS])
def test_a_pod_of_ours_without_a_node_is_told_of_none_of_the_engine_s_fields(component: str) -> None:
    for said in ("1 Insufficient cpu.", "1 node(s) had untolerated taint(s)."):
        found = unschedulable(f"0/1 nodes are available: {said}", component, scaling={"maxReplicas": 3})
        assert not re.search(r"engine\.|scaling\.", found.message)


def test_a_first_revision_is_not_a_roll_out() -> None:
    body = endpoint(scaling={"maxReplicas": 3})
    made = {
        "kind": "Deployment",
        "metadata": {"name": "llama-engine", "generation": 2, "labels": {LABEL_COMPONENT: COMPONENT_ENGINE}},
        "spec": {"replicas": 1},
    }
    status = make_status(observe(body, [made], []), Outcome(desired=1), now="2025-06-15T15:00:00Z")
    assert {entry.reason for entry in status.conditions[:2]} == {Reason.REPLICAS_STARTING}

"""Why a pod does not serve, and what a person can do about it: an ordered list of rules, first hit wins."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from llmendpoint.api import names
from llmendpoint.api.accelerators import is_accelerator
from llmendpoint.api.conditions import Reason
from llmendpoint.api.endpoint import EndpointSpec
from llmendpoint.manifests.activator import ACTIVATOR_CONTAINER
from llmendpoint.manifests.adapters import ADAPTERS_CONTAINER
from llmendpoint.manifests.asynchronous import QUEUE_CONTAINER, REDIS_CONTAINER, WORKER_CONTAINER
from llmendpoint.manifests.batch import BATCH_CONTAINER
from llmendpoint.manifests.business import BUSINESS_CONTAINER
from llmendpoint.manifests.engine import ENGINE_CONTAINER, STARTUP_PERIOD_SECONDS
from llmendpoint.manifests.prefetch import PREFETCH_CONTAINER
from llmendpoint.reconcile.device_claims import claim_sentence
from llmendpoint.reconcile.observation import Manifest, PodView, condition, container_statuses, restarts
from llmendpoint.scaling.record import epoch
from llmendpoint.scaling.signals import PodPhase

NOT_CREATED = frozenset({"CreateContainerConfigError", "CreateContainerError"})
PULL_FAILURES = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})
# The kubelet stops a container whose startup probe ran out by SIGTERM, then SIGKILL; some engines then exit with 0.
STOPPED = frozenset({0, 137, 143})
# Where the limit is ours.
LESS_MEMORY = {
    ACTIVATOR_CONTAINER: "lower scaling.activator.maxRequests",
    QUEUE_CONTAINER: "let clients send smaller jobs",
    WORKER_CONTAINER: "lower async.workers.concurrency",
    REDIS_CONTAINER: "name a larger one in async.redis.urlSecretRef",
}
ENGINE_COMPONENTS = frozenset({names.COMPONENT_ENGINE, names.COMPONENT_ENGINE_WORKER})
# From the last failed probe to the signal and from the exit to its record.
SLACK_SECONDS = 15.0
# The runtime's way to the cause of a failed pull, and addresses that are others at each try.
_PULL_NOISE = re.compile(
    r'Back-off pulling image "[^"]*"(?:: ErrImagePull)?(?:: )?|rpc error: code = \w+ desc = '
    r'|failed to (?:pull and unpack image|resolve reference) "[^"]*": |failed to (?:resolve image|do request): '
    r'|(?:Head|Get) "[^"]*": |read udp \S+: | on \S+:53(?=:)'
)


# What vLLM, transformers below TGI and SGLang, and Python say of a path without a model.
_NO_MODEL = re.compile(
    r"Invalid repository ID or local directory|Repo id must|is not a local folder|does not appear to have a file named"
    r"|No such file or directory"
)


@dataclass(frozen=True)
class Trouble:
    """One reason why the endpoint is not as wanted, with a message that says what to do."""

    reason: Reason
    message: str


PodRule = Callable[[EndpointSpec, PodView], Trouble | None]


def missing_reference(_: EndpointSpec, pod: PodView) -> Trouble | None:
    """A Secret, ConfigMap or key that a container needs does not exist."""
    for _name, state in _not_created(pod):
        said = state.get("message", "")
        if named := re.search(r'(secret|configmap) "([^"]+)" not found', said, re.IGNORECASE):
            kind = {"secret": "Secret", "configmap": "ConfigMap"}[named[1].lower()]
            return Trouble(
                Reason.SECRET_NOT_FOUND,
                f"{kind} {named[2]} does not exist in this namespace and pod {pod.name} needs it: create it, "
                "the pod then starts by itself",
            )
        if named := re.search(r"couldn't find key (\S+) in (\w+) \S*?([^/\s]+)$", said):
            return Trouble(
                Reason.SECRET_NOT_FOUND,
                f"{named[2]} {named[3]} has no key {named[1]} and pod {pod.name} needs it: add the key, "
                "the pod then starts by itself",
            )
    return None


def container_refused(_: EndpointSpec, pod: PodView) -> Trouble | None:
    """The node can not create a container as it is specified."""
    for name, state in _not_created(pod):
        said = state.get("message") or state["reason"]
        advice = "correct what it refers to"
        if "runAsNonRoot" in said:
            advice = "build its image with a numeric USER other than 0, because the container may not run as root"
        return Trouble(
            Reason.CONTAINER_REFUSED, f"container {name} of pod {pod.name} can not be created ({said}): {advice}"
        )
    return None


def unschedulable(spec: EndpointSpec, pod: PodView) -> Trouble | None:
    """No node can take the pod."""
    if pod.phase is not PodPhase.UNSCHEDULABLE:
        return None
    scheduled = condition(pod.body, "PodScheduled") or {}
    said = _scheduler_says(str(scheduled.get("message", "")))
    is_batch = pod.component == names.COMPONENT_BATCH
    if claim := re.search(r'persistentvolumeclaim "([^"]+)" not found', said):
        advice = "create it, the pod then starts by itself"
        if not is_batch:
            advice = "create it or correct model.source, the pod then starts by itself"
        return Trouble(
            Reason.VOLUME_PENDING,
            f"PersistentVolumeClaim {claim[1]} does not exist in this namespace and pod {pod.name} needs it: {advice}",
        )
    if "persistentvolumeclaim" in said.lower() or "persistent volumes to bind" in said or "volume node aff" in said:
        fields = "the pvc:// claims" if is_batch else "model.cache.storageClassName or the pvc:// claim"
        return Trouble(
            Reason.VOLUME_PENDING,
            f"pod {pod.name} waits for a volume ({said}): see kubectl get pvc, and check {fields}",
        )
    is_engine = pod.component in ENGINE_COMPONENTS
    short = sorted(set(re.findall(r"Insufficient ([^\s,]+?)(?=[,.]?(?:\s|$))", said)))
    if short:
        asks, count = "engine.resources", "scaling.maxReplicas" if spec.scaling else "spec.replicas"
        if pod.component == names.COMPONENT_BUSINESS:
            asks, count = "business.resources", "business.replicas"
        advice = f"add nodes, free some, ask for less in {asks} or lower {count}"
        if pod.component not in {*ENGINE_COMPONENTS, names.COMPONENT_BUSINESS}:
            advice = "add nodes or free some"
        if any(map(is_accelerator, short)):
            advice += _spare_advice(spec)
        return Trouble(
            Reason.UNSCHEDULABLE, f"no node has enough {', '.join(short)} for pod {pod.name}: {advice} ({said})"
        )
    goes_with_engines = is_engine or pod.component == names.COMPONENT_PREFETCH
    advice = _placement_advice(spec, said) if goes_with_engines else "see the taints of the nodes"
    return Trouble(Reason.UNSCHEDULABLE, f"no node takes pod {pod.name}: {advice} ({said})")


def claim_not_made(_: EndpointSpec, pod: PodView) -> Trouble | None:
    """A claim for devices is not made, which takes no more than a moment where its template exists."""
    said = claim_sentence(pod.body)
    return Trouble(Reason.REPLICAS_STARTING, said) if said else None


def _placement_advice(spec: EndpointSpec, said: str) -> str:
    """Which fields keep an engine's pod from the nodes."""
    if "allocate all claims" in said:
        return f"add nodes or free some devices, and check engine.resourceClaims{_spare_advice(spec)}"
    fields = ["engine.accelerator"] if spec.engine.accelerator else []
    return f"check {', '.join([*fields, 'engine.nodeSelector'])} and engine.tolerations"


def _spare_advice(spec: EndpointSpec) -> str:
    if spec.engine.rollout != "Surge":
        return ""
    return "; if this is a roll-out and there is no spare GPU, set engine.rollout to Recreate"


def _scheduler_says(message: str) -> str:
    """The scheduler's count of nodes by cause, without what it says of preemption and resource claims."""
    counted = re.split(r"[.,]? *(?:no new claims to deallocate|still not schedulable|preemption:)", message)[0]
    return counted.strip().rstrip(".")


def image_pull_failed(spec: EndpointSpec, pod: PodView) -> Trouble | None:
    """An image can not be pulled."""
    for status in container_statuses(pod.body):
        state = status.get("state", {}).get("waiting") or {}
        if state.get("reason") in PULL_FAILURES:
            said = state.get("message") or ""
            cause = _PULL_NOISE.sub("", said).strip() or state["reason"]
            image, field = status.get("image") or "?", _field(status["name"], "image")
            if spec.model.origin.scheme == "oci" and spec.model.origin.root in said:
                image, field = spec.model.origin.root, "model.source"
            return Trouble(
                Reason.IMAGE_PULL_FAILED,
                f"image {image} of pod {pod.name} can not be pulled ({cause}): "
                f"{_pull_advice(field, state['reason'], cause)}",
            )
    return None


def _pull_advice(field: str, reason: str, cause: str) -> str:
    if re.search(r"unauthorized|denied|forbidden|\b40[13]\b", cause, re.IGNORECASE):
        return f"give the registry's credentials in engine.imagePullSecrets, and check the name in {field}"
    if reason == "InvalidImageName" or re.search(r"not found|invalid reference", cause):
        return f"correct the name or the tag in {field}"
    if re.search(r"dial|lookup|timeout|connection|x509|EOF", cause):
        return f"check that the nodes reach the registry, or name another one in {field}"
    return f"check {field} and engine.imagePullSecrets"


def out_of_memory(_: EndpointSpec, pod: PodView) -> Trouble | None:
    """A container was killed for memory and is not up again."""
    for name, ended in _endings(pod):
        if ended.get("reason") == "OOMKilled":
            advice = f"raise {_field(name, 'resources.limits.memory')}"
            advice = LESS_MEMORY.get(name, advice)
            return Trouble(
                Reason.OUT_OF_MEMORY,
                f"container {name} of pod {pod.name} was killed for using more memory than its limit: {advice}",
            )
    return None


def startup_timeout(spec: EndpointSpec, pod: PodView) -> Trouble | None:
    """The engine was restarted because it was not ready in time."""
    limit = spec.engine.startup_timeout_seconds
    grace = pod.body.get("spec", {}).get("terminationGracePeriodSeconds", 30)
    for name, ended in _endings(pod):
        lasted = epoch(ended["finishedAt"]) - epoch(ended["startedAt"]) if ended.get("startedAt") else 0.0
        # The first of the probe's tries is made at once. A container that lived longer was ready and stopped since.
        in_time = limit - STARTUP_PERIOD_SECONDS <= lasted <= limit + grace + SLACK_SECONDS
        if name == ENGINE_CONTAINER and ended.get("exitCode") in STOPPED and in_time:
            return Trouble(
                Reason.STARTUP_TIMEOUT,
                f"the engine in pod {pod.name} was not ready after {limit} s and was restarted: raise "
                "engine.startupTimeoutSeconds, or give model.cache so that weights are not downloaded at each start",
            )
    return None


def model_not_found(spec: EndpointSpec, pod: PodView) -> Trouble | None:
    """The path of a model that is mounted is not there."""
    origin = spec.model.origin
    for name, ended in _endings(pod):
        if name == ENGINE_CONTAINER and origin.claim and _NO_MODEL.search(ended.get("message") or ""):
            return Trouble(
                Reason.MODEL_NOT_FOUND,
                f"the engine in pod {pod.name} finds no model at {origin.path or 'the root'} of PersistentVolumeClaim "
                f"{origin.claim}: put one there, a folder with config.json, or correct the path in model.source",
            )
    return None


def crash_loop(_: EndpointSpec, pod: PodView) -> Trouble | None:
    """A container keeps exiting."""
    for name, ended in _endings(pod):
        if name == PREFETCH_CONTAINER:
            continue  # it is to end, and its Job says how it went
        if ended.get("exitCode", 0) == 0 and ended.get("reason") == "Completed":
            cause = "it exits with code 0, as if done"
        else:
            cause = f"exit code {ended.get('exitCode', '?')}"
        last_words = _last_line(ended.get("message"))
        where = f"see kubectl logs {pod.name} -c {name} --previous"
        if pod.group:
            where = f"its group starts anew each time, see kubectl logs {pod.name} -c {name} --follow"
        return Trouble(
            Reason.CRASH_LOOP,
            f"container {name} of pod {pod.name} keeps exiting ({cause}{': ' + last_words if last_words else ''}): "
            f"{where}",
        )
    return None


POD_RULES: tuple[PodRule, ...] = (
    missing_reference,
    container_refused,
    image_pull_failed,
    out_of_memory,
    startup_timeout,
    model_not_found,
    crash_loop,
    unschedulable,
    claim_not_made,
)


def pod_trouble(spec: EndpointSpec, pods: Iterable[PodView]) -> Trouble | None:
    """The first trouble of the pods that should serve and do not."""
    unwell = {PodPhase.STARTING, PodPhase.UNREADY, PodPhase.UNSCHEDULABLE}
    waiting = [pod for pod in pods if pod.phase in unwell or _failed_its_group(pod)]
    return next((found for rule in POD_RULES for pod in waiting if (found := rule(spec, pod))), None)


def creation_trouble(deployment: Manifest | None) -> Trouble | None:
    """Why the ReplicaSet can not even create a pod: quota or admission."""
    failure = condition(deployment, "ReplicaFailure") if deployment else None
    if not failure or failure["status"] != "True":
        return None
    said = str(failure.get("message", ""))
    if "exceeded quota" in said:
        return Trouble(
            Reason.QUOTA_EXCEEDED,
            "a ResourceQuota of this namespace does not allow another replica: raise the quota or ask for fewer "
            f"replicas ({said})",
        )
    if "violates PodSecurity" in said:
        return Trouble(
            Reason.PODS_REFUSED,
            "Pod Security refuses the pods: set what it names in engine.podTemplate.spec.securityContext, for example "
            f"runAsNonRoot and runAsUser, or let the namespace enforce baseline ({said})",
        )
    return Trouble(Reason.PODS_REFUSED, f"the API server refuses the pods: {said}")


def apply_trouble(spec: EndpointSpec, failure: Trouble | None) -> Trouble | None:
    """Why a child could not be applied."""
    if failure and spec.model.origin.scheme == "oci" and "must specify a volume type" in failure.message:
        # An API server without the feature drops the field, and finds a volume of no kind.
        return Trouble(
            Reason.APPLY_FAILED,
            "this cluster knows no image volumes, which model.source oci:// needs: turn the feature gate ImageVolume "
            "on in the API server and the kubelets, as Kubernetes 1.35 and later have it, or use another source",
        )
    return failure


def _field(container: str, path: str) -> str:
    """Where the endpoint sets something of a container."""
    parts = {
        ENGINE_CONTAINER: f"engine.{path}",
        BUSINESS_CONTAINER: f"business.{path}",
        ACTIVATOR_CONTAINER: f"{path} of the operator's chart",
        QUEUE_CONTAINER: "queueImage of the operator's chart",
        WORKER_CONTAINER: "queueImage of the operator's chart",
        REDIS_CONTAINER: "redisImage of the operator's chart",
        BATCH_CONTAINER: "batchImage of the operator's chart",
        ADAPTERS_CONTAINER: "fetchImage of the operator's chart",
        PREFETCH_CONTAINER: "fetchImage of the operator's chart",
    }
    return parts.get(container, f"its {path} in engine.podTemplate")


def _not_created(pod: PodView) -> list[tuple[str, Manifest]]:
    """(container, waiting state) of the containers that the node could not create."""
    waiting = (
        (status["name"], status.get("state", {}).get("waiting") or {}) for status in container_statuses(pod.body)
    )
    return [(name, state) for name, state in waiting if state.get("reason") in NOT_CREATED]


def _endings(pod: PodView) -> list[tuple[str, Manifest]]:
    """(container, terminated state) of the containers that ended and have not come up again since.

    One that has passed its startup probe since is up, even if it is not ready at the moment.
    """
    found = []
    for status in container_statuses(pod.body):
        ended = status.get("state", {}).get("terminated") or status.get("lastState", {}).get("terminated")
        is_up = status.get("ready") or status.get("started")
        if ended and (not is_up or _failed_its_group(pod)):
            found.append((status["name"], ended))
    return found


def _failed_its_group(pod: PodView) -> bool:
    """Whether a pod goes because one of its containers ended: the whole group is then made anew."""
    return bool(pod.group) and pod.phase is PodPhase.DRAINING and restarts(pod.body) > 0


def _last_line(message: str | None) -> str:
    lines = [line.strip() for line in (message or "").splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""

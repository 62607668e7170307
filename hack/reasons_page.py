"""docs/conditions.md: every condition and reason with its meaning from the code, and what a person does about it."""

import ast
import inspect
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any

from llmendpoint.api.conditions import BatchConditionType, BatchReason, ConditionType, Reason

HEAD = """\
<!-- Made by `make generate` from operator/llmendpoint/api/conditions.py and hack/reasons_page.py; edit those. -->
# Status and conditions

```
kubectl get llme NAME -o wide            # the reason and the message of Ready
kubectl describe llme NAME               # all conditions, and events
kubectl wait llme/NAME --for=condition=Ready --timeout=15m
```

Conditions say how it is now, each with a reason in one word and a message that names the pod, the Secret, the field.
True is good. The rest of the status is in [fields.md](fields.md#status), the decision record in
[concepts.md](concepts.md#the-decision).
"""
TABLE = "| reason | status | what it means | what to do |\n|---|---|---|---|\n"
NOTHING = "Nothing."

# Each reason of each condition: its status, and what to do.
ADVICE: dict[ConditionType, dict[Reason, tuple[str, str]]] = {
    ConditionType.READY: {
        Reason.ALL_REPLICAS_READY: ("True", NOTHING),
        Reason.ASLEEP: ("True", "Nothing. [Scale to zero](scale-to-zero.md)."),
        Reason.INVALID_SPEC: (
            "False",
            "Correct the field that the message names; `llmendpoint validate -f FILE` says the same beforehand.",
        ),
        Reason.APPLY_FAILED: (
            "False",
            "Read what the API server said: a missing right, an admission webhook, a quota on objects. The operator "
            "tries again by itself.",
        ),
        Reason.LEADER_WORKER_SET_MISSING: (
            "False",
            "Install it, or a later one; the endpoint then goes on by itself. Or set `engine.nodesPerReplica` to 1. "
            "[Several nodes](multi-node.md).",
        ),
        Reason.NOT_OWNED: ("False", "Rename the endpoint, or delete the object of that name if nobody needs it."),
        Reason.SECRET_NOT_FOUND: ("False", "Create it, or add the key; the pod then starts by itself."),
        Reason.CONTAINER_REFUSED: (
            "False",
            "Correct what the message names; where it is about root, build the image with a numeric user other than 0.",
        ),
        Reason.UNSCHEDULABLE: (
            "False",
            "Add nodes or free some, ask for less in `engine.resources`, correct `engine.nodeSelector` and "
            "`engine.tolerations`, or lower `scaling.maxReplicas`. In a roll-out without a spare GPU: `engine.rollout: "
            "Recreate`. [Runbook](runbooks/LLMEndpointUnschedulable.md).",
        ),
        Reason.QUOTA_EXCEEDED: (
            "False",
            "Raise the quota, or ask for fewer replicas ([budgets](cost-and-schedules.md#budgets)).",
        ),
        Reason.PODS_REFUSED: ("False", "Change the namespace's admission rules, or what `engine.podTemplate` adds."),
        Reason.IMAGE_PULL_FAILED: (
            "False",
            "Correct the name or the tag, give `engine.imagePullSecrets`, or let the nodes reach the registry: the "
            "message says which.",
        ),
        Reason.OUT_OF_MEMORY: ("False", "Raise `resources.limits.memory` of the container that the message names."),
        Reason.MODEL_NOT_FOUND: ("False", "Put the model there, or correct the path in `model.source`."),
        Reason.CRASH_LOOP: (
            "False",
            "Read `kubectl logs POD -c CONTAINER --previous`; often it is an argument in `engine.args`.",
        ),
        Reason.STARTUP_TIMEOUT: (
            "False",
            "Raise `engine.startupTimeoutSeconds`, or give `model.cache` so that weights are not downloaded at each "
            "start. [Runbook](runbooks/LLMEndpointSlowStart.md).",
        ),
        Reason.VOLUME_PENDING: (
            "False",
            "Look at `kubectl get pvc`: correct `model.cache.storageClassName`, or create the claim of `pvc://`.",
        ),
        Reason.ENGINE_STALLED: (
            "False",
            "Look at the node's accelerator; delete the pod to have it replaced. The operator does not kill it. "
            "[Runbook](runbooks/LLMEndpointNothingServes.md).",
        ),
        Reason.ACTIVATOR_NOT_READY: (
            "False",
            "Look at its pods: `kubectl get pods -l llmendpoint.dev/component=activator`.",
        ),
        Reason.REPLICAS_STARTING: ("False", "Wait: `status.scaling.coldStartSeconds` says how long it usually takes."),
        Reason.ROLLING_OUT: ("False", "Wait: what serves stays until its successor is ready."),
        Reason.BUSINESS_NOT_READY: (
            "False",
            "Look at its pods: `kubectl get pods -l llmendpoint.dev/component=business`.",
        ),
        Reason.QUEUE_NOT_READY: ("False", "See [QueueAvailable](#queueavailable)."),
    },
    ConditionType.PROGRESSING: {
        Reason.SETTLED: ("False", NOTHING),
        Reason.SCALING_OUT: ("True", "Wait; `decision.expectedReadyTime` says until when."),
        Reason.ROLLING_OUT: ("True", "Wait."),
        Reason.REPLICAS_STARTING: ("True", "Wait: the Deployment is being created."),
        Reason.DRAINING: ("True", "Wait, `engine.drainSeconds` at most."),
    },
    ConditionType.METRICS_AVAILABLE: {
        Reason.METRICS_READ: ("True", NOTHING),
        Reason.NO_READY_REPLICAS: ("Unknown", "See Ready."),
        Reason.NOT_READ_YET: ("Unknown", "Wait ten seconds."),
        Reason.NOT_NEEDED: ("Unknown", NOTHING),
        Reason.METRICS_PARTIAL: (
            "False",
            "See the pods that the message names. [Runbook](runbooks/LLMEndpointMetricsUnknown.md).",
        ),
        Reason.METRICS_UNKNOWN: (
            "False",
            "Most often a NetworkPolicy between the operator and the engines, or a Prometheus that does not collect "
            "them. `scaling.fallback` says where to go meanwhile. [Runbook](runbooks/LLMEndpointMetricsUnknown.md).",
        ),
        Reason.TARGET_UNKNOWN: ("False", "Run the query of `scaling.targets` in Prometheus: it must give one number."),
    },
    ConditionType.SCALING_ACTIVE: {
        Reason.SCALER_ACTIVE: ("True", NOTHING),
        Reason.SCALER_WARNING: ("True", "Change what the message names, or leave it if you mean it."),
        Reason.DRY_RUN: ("False", "Compare `status.usage.dryRun` with what ran, then set `scaling.mode: Active`."),
        Reason.SCALING_OFF: ("False", "Nothing, or set `scaling.mode: Active`."),
    },
    ConditionType.MODEL_CACHED: {
        Reason.MODEL_FETCHED: ("True", NOTHING),
        Reason.FETCHING_MODEL: (
            "False",
            "Wait: `status.modelCache` has the figures. Where no pod comes, `kubectl describe job` says why.",
        ),
        Reason.FETCH_RETRIED: ("False", "Wait; if it comes again, do what its message says."),
        Reason.FETCH_FAILED: (
            "False",
            "Do what the message says. A changed spec is tried by itself; after a change elsewhere, of a Secret's "
            "content for example, delete the Job ([model sources](model-sources.md#prefetch)).",
        ),
    },
    ConditionType.QUEUE_AVAILABLE: {
        Reason.BACKLOG_READ: ("True", NOTHING),
        Reason.BACKLOG_VOLATILE: (
            "True",
            "Nothing while you try it out; for production name a Redis in `async.redis.urlSecretRef` "
            "([asynchronous](asynchronous.md#redis)).",
        ),
        Reason.QUEUE_NOT_READY: (
            "False",
            "Look at the pods of the component that the message names.",
        ),
        Reason.BACKLOG_UNKNOWN: (
            "False",
            "Look whether the pods of `NAME-queue` reach Redis, which their log says, and let the operator reach their "
            "port `control` (9901). "
            "[Runbook](runbooks/LLMEndpointBacklogUnknown.md).",
        ),
        Reason.NOT_READ_YET: ("Unknown", "Wait ten seconds."),
    },
    ConditionType.ROUTE_ACCEPTED: {
        Reason.ROUTE_ACCEPTED: ("True", NOTHING),
        Reason.ROUTE_PENDING: (
            "Unknown",
            "Wait some seconds; then read `Ready` where the message names it, and else look whether the Gateway exists "
            "(`kubectl get gateway -A`) and its controller runs.",
        ),
        Reason.ROUTE_REFUSED: (
            "False",
            "Read what the Gateway said; often its listener does not allow routes from the endpoint's namespace, or "
            "has other host names ([gateway](gateway.md#when-it-does-not-work)). "
            "[Runbook](runbooks/LLMEndpointRouteNotAccepted.md).",
        ),
        Reason.GATEWAY_KINDS_MISSING: (
            "False",
            "Install what the message names, or remove it from `spec.gateway`. The operator notices within a minute. "
            "Where it is installed, `llmendpoint doctor` says whether the operator may use it.",
        ),
    },
    ConditionType.ADAPTERS_READY: {
        Reason.ADAPTERS_LOADED: ("True", NOTHING),
        Reason.ADAPTERS_LOADING: ("False", "Wait. `status.adapters` says what each is on."),
        Reason.ADAPTER_FAILED: (
            "False",
            "Read what the engine or the hub said of it in `status.adapters`; it is tried again by itself. "
            "[LoRA adapters](adapters.md#when-one-does-not-load). "
            "[Runbook](runbooks/LLMEndpointAdaptersNotReady.md).",
        ),
        Reason.NO_READY_REPLICAS: ("Unknown", "See Ready."),
    },
}


BATCHES = """
## Batches

```
kubectl get llmb NAME -o wide            # the state, figures, and the message of Progressing
kubectl wait llmb/NAME --for=condition=Complete --timeout=2h
```

An `LLMBatch` has the conditions of a Job, and `Progressing`, whose reason is its state in one word. Where it is a pod
that does not start, the words are those of [Ready](#ready).
"""
BATCH_ADVICE: dict[BatchConditionType, dict[BatchReason, tuple[str, str]]] = {
    BatchConditionType.PROGRESSING: {
        BatchReason.WORKING: ("True", NOTHING),
        BatchReason.WORKERS_STARTING: ("False", "Wait; `kubectl describe job NAME` says why no pod comes."),
        BatchReason.ENDPOINT_NOT_FOUND: ("False", "Create it, or correct `endpointRef.name`."),
        BatchReason.ENDPOINT_NOT_READY: ("False", "Wait, or see the conditions of the LLMEndpoint."),
        BatchReason.WORKER_FAILED: ("False", "Wait; if it comes again, do what its message says."),
        BatchReason.SUSPENDED: ("False", "Set `suspend: false` to go on."),
        BatchReason.ALL_LINES_ANSWERED: ("False", NOTHING),
        BatchReason.SOME_LINES_FAILED: ("False", "Read `errors.jsonl`."),
        BatchReason.REFUSED: ("False", "Do what the message says, then delete the batch and create it anew."),
        BatchReason.SHARDS_FAILED: (
            "False",
            "Remove the cause, then delete the batch and create it anew: it goes on from what is done.",
        ),
    },
    BatchConditionType.COMPLETE: {
        BatchReason.ALL_LINES_ANSWERED: ("True", NOTHING),
        BatchReason.SOME_LINES_FAILED: ("True", "Read `errors.jsonl`."),
        BatchReason.NOT_MET: ("False", "See Progressing."),
    },
    BatchConditionType.FAILED: {
        BatchReason.REFUSED: ("True", "As above."),
        BatchReason.SHARDS_FAILED: ("True", "As above."),
        BatchReason.NOT_MET: ("False", NOTHING),
    },
    BatchConditionType.SUSPENDED: {
        BatchReason.SUSPENDED: ("True", "Set `suspend: false` to go on."),
        BatchReason.NOT_MET: ("False", NOTHING),
    },
}


def page() -> str:
    """The page in Markdown.

    Raises:
        ValueError: a reason has no advice.
    """
    endpoints = _sections(ADVICE, ConditionType, Reason, "##")
    batches = _sections(BATCH_ADVICE, BatchConditionType, BatchReason, "###")
    return "".join([HEAD, *endpoints, BATCHES, *batches])


def _sections(
    advice: Mapping[Any, Mapping[Any, tuple[str, str]]], kinds: type[StrEnum], reasons: type[StrEnum], heading: str
) -> Iterator[str]:
    if lacking := set(reasons) - {reason for of in advice.values() for reason in of}:
        raise ValueError(f"hack/reasons_page.py says of no condition what to do about {', '.join(sorted(lacking))}")
    types, meanings = _meanings(kinds), _meanings(reasons)
    for kind, of in advice.items():
        title = f"{kind} of a batch" if heading == "###" else kind
        yield f"\n{heading} {title}\n\n{types[kind]}\n\n{TABLE}"
        for reason, (status, what) in of.items():
            yield f"| `{reason}` | {status} | {meanings[reason]} | {what} |\n"


def _meanings(of: type[StrEnum]) -> dict[str, str]:
    """Value -> the docstring under it, which only the source has."""
    body = ast.parse(inspect.getsource(of)).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for member, meaning in zip(body.body, body.body[1:], strict=False):
        match member, meaning:
            case ast.Assign(value=ast.Constant(str(value))), ast.Expr(ast.Constant(str(words))):
                found[value] = words
    return found

"""What the endpoints' own conditions say."""

from collections.abc import Iterator

from pydantic import ValidationError

from llmendpoint.api.conditions import ConditionType, Reason
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.cli.checks.check import Check, Level, unread
from llmendpoint.cli.status_facts import Health, health_of
from llmendpoint.cluster.errors import ClusterError, NotFound
from llmendpoint.manifests.common import Manifest

SUBJECT = "Endpoints"
BESIDE_READY = (ConditionType.METRICS_AVAILABLE, ConditionType.QUEUE_AVAILABLE, ConditionType.ROUTE_ACCEPTED)
LEVEL: dict[Health, Level] = {"Ready": "ok", "Underway": "warn", "Failing": "fail", "Unseen": "fail"}


def check_conditions(endpoints: list[Manifest] | ClusterError, namespace: str | None) -> Iterator[Check]:
    """A line for all that are well, and one for each trouble."""
    if isinstance(endpoints, NotFound):  # the check of the kind says so
        return
    if isinstance(endpoints, ClusterError):
        yield unread(SUBJECT, endpoints)
        return
    where = f"in {namespace}" if namespace else "in all namespaces"
    troubles = [trouble for body in endpoints for trouble in _troubles(body)]
    if not endpoints:
        yield Check(level="ok", subject=SUBJECT, found=f"there are none {where}")
    else:
        ready = sum(_is_ready(body) for body in endpoints)
        yield Check(level="ok", subject=SUBJECT, found=f"{ready} of {len(endpoints)} are ready {where}")
    yield from troubles


def _is_ready(body: Manifest) -> bool:
    try:
        return health_of(Endpoint.from_object(body))[0] == "Ready"
    except ValidationError:
        return False


def _troubles(body: Manifest) -> Iterator[Check]:
    key = f"{body['metadata']['namespace']}/{body['metadata']['name']}"
    try:
        endpoint = Endpoint.from_object(body)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        words = f"{key} is not as this version knows it: {where}: {first['msg']}"
        yield Check(level="fail", subject=SUBJECT, found=words, todo="use a command of the operator's version")
        return
    health, reason = health_of(endpoint)
    if health == "Unseen":
        words = f"{key} has a change that the operator has not seen" if reason != "NotSeenYet" else f"{key} is new"
        yield Check(
            level=LEVEL[health],
            subject=SUBJECT,
            found=f"{words}: no operator has reported on it",
            todo="look again in a minute, else see the operator's logs",
        )
    for entry in endpoint.status.conditions:
        if entry.type == ConditionType.READY and entry.status == "False":
            yield Check(level=LEVEL[health], subject=SUBJECT, found=f"{key}: {entry.reason}: {entry.message}")
        if entry.type in BESIDE_READY and entry.status == "False" and entry.reason != Reason.QUEUE_NOT_READY:
            yield Check(level="fail", subject=SUBJECT, found=f"{key}: {entry.reason}: {entry.message}")
        if entry.reason in {Reason.SCALER_WARNING, Reason.BACKLOG_VOLATILE, Reason.ROUTE_PENDING}:
            yield Check(level="warn", subject=SUBJECT, found=f"{key}: {entry.reason}: {entry.message}")

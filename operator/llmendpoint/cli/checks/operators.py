"""Whether an operator is installed, runs and leads, once for each namespace, and is of this version."""

from collections.abc import Iterator, Sequence
from importlib.metadata import version
from itertools import combinations
from typing import Any

from llmendpoint.cli.checks.check import Check, unread
from llmendpoint.cli.terminal import span
from llmendpoint.cluster.errors import ClusterError
from llmendpoint.manifests.common import Manifest
from llmendpoint.scaling.record import epoch

SUBJECT = "Operator"
INSTALL = "helm install llmendpoint-operator charts/llmendpoint-operator -n llmendpoint-system --create-namespace"
WATCHED = "LLMENDPOINT_WATCH_NAMESPACES"


def watched_namespaces(operator: Manifest) -> tuple[str, ...]:
    """Namespaces that an operator watches; empty for all of them."""
    for container in _pod(operator).get("containers") or ():
        for variable in container.get("env") or ():
            if variable["name"] == WATCHED:
                return tuple(part.strip() for part in (variable.get("value") or "").split(",") if part.strip())
    return ()


def account_of(operator: Manifest) -> str:
    """The service account's name as a user."""
    name = _pod(operator).get("serviceAccountName") or "default"
    return f"system:serviceaccount:{operator['metadata']['namespace']}:{name}"


def _pod(operator: Manifest) -> dict[str, Any]:
    found: dict[str, Any] = operator["spec"]["template"]["spec"]
    return found


def check_operators(
    operators: list[Manifest] | ClusterError, endpoints: list[Manifest] | ClusterError
) -> Iterator[Check]:
    """A line for each operator, or one that there is none."""
    if isinstance(operators, ClusterError):
        yield unread(SUBJECT, operators)
        return
    if not operators:
        yield _absent(endpoints)
    for operator in operators:
        yield from _operator(operator)
    for one, other in combinations(operators, 2):
        ours, theirs = set(watched_namespaces(one)), set(watched_namespaces(other))
        if not ours or not theirs or ours & theirs:
            yield Check(
                level="fail",
                subject=SUBJECT,
                found=f"{_name(one)} and {_name(other)} watch the same namespaces, so that both decide",
                todo="remove one, or give them different watchNamespaces",
            )
    if operators and isinstance(endpoints, list):
        yield from _unwatched(operators, endpoints)


def _absent(endpoints: list[Manifest] | ClusterError) -> Check:
    """No operator in this cluster. One that runs elsewhere shows in the endpoints that it has seen."""
    seen = [
        body
        for body in (endpoints if isinstance(endpoints, list) else [])
        if (body.get("status") or {}).get("observedGeneration") == body["metadata"].get("generation")
    ]
    none = "no Deployment with the label app.kubernetes.io/name=llmendpoint-operator"
    if seen:
        words = f"{none}, but {len(seen)} endpoints were seen by one: does it run outside of this cluster?"
        return Check(level="warn", subject=SUBJECT, found=words, todo=INSTALL)
    return Check(level="fail", subject=SUBJECT, found=none, todo=INSTALL)


def _operator(operator: Manifest) -> Iterator[Check]:
    status = operator.get("status") or {}
    wanted, ready = operator["spec"].get("replicas", 1), status.get("readyReplicas", 0)
    release = (operator["metadata"].get("labels") or {}).get("app.kubernetes.io/version", "of no known version")
    found = f"{_name(operator)} {release}: {ready} of {wanted} ready"
    if ready:
        watched = ", ".join(watched_namespaces(operator)) or "all namespaces"
        yield Check(level="ok" if ready >= wanted else "warn", subject=SUBJECT, found=f"{found}, watches {watched}")
    else:
        whys = [
            entry.get("message", "")
            for entry in status.get("conditions") or ()
            if entry.get("status") == "False" or entry["type"] == "ReplicaFailure"
        ]
        metadata = operator["metadata"]
        yield Check(
            level="fail",
            subject=SUBJECT,
            found="; ".join([found, *whys]),
            todo=f"kubectl describe pods -n {metadata['namespace']} -l app.kubernetes.io/name=llmendpoint-operator, "
            f"and kubectl logs -n {metadata['namespace']} deployment/{metadata['name']}",
        )
    if release != (own := version("llmendpoint-operator")):
        yield Check(
            level="warn",
            subject=SUBJECT,
            found=f"{_name(operator)} is {release}, and this command is {own}",
            todo="use the same version of both, for what they say of each other",
        )


def _unwatched(operators: Sequence[Manifest], endpoints: Sequence[Manifest]) -> Iterator[Check]:
    watched = [set(watched_namespaces(operator)) for operator in operators]
    if not all(watched):
        return
    for namespace in sorted({body["metadata"]["namespace"] for body in endpoints} - set().union(*watched)):
        yield Check(
            level="fail",
            subject=SUBJECT,
            found=f"no operator watches namespace {namespace}, which has endpoints",
            todo=f"add {namespace} to the chart's watchNamespaces",
        )


def check_lease(lease: Manifest | ClusterError | None, now: float) -> Iterator[Check]:
    """Who leads, and whether the lease is kept."""
    subject = "Leader"
    if isinstance(lease, ClusterError):
        yield unread(subject, lease)
        return
    if lease is None:
        return
    spec = lease.get("spec") or {}
    holder, renewed = spec.get("holderIdentity"), spec.get("renewTime")
    if not holder or not renewed:
        yield Check(
            level="warn", subject=subject, found="nobody holds the lease just now", todo="look again in a minute"
        )
        return
    age, lasts = now - epoch(renewed), float(spec.get("leaseDurationSeconds", 0))
    found = f"{holder} leads, renewed {span(age)} ago"
    if age <= lasts:
        yield Check(level="ok", subject=subject, found=found)
    else:
        yield Check(
            level="fail",
            subject=subject,
            found=f"{found}: the lease lasts {span(lasts)}, so that nobody leads",
            todo="see the operator's pods and logs, and whether the clocks agree",
        )


def _name(operator: Manifest) -> str:
    return f"{operator['metadata']['namespace']}/{operator['metadata']['name']}"

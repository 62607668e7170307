"""Whether the operator's service account may do all that the operator does."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmendpoint.cli.checks.check import Check, unread
from llmendpoint.cli.checks.operators import account_of, watched_namespaces
from llmendpoint.cluster.errors import ClusterError
from llmendpoint.cluster.kinds import ACCESS_REVIEW, LEASE
from llmendpoint.manifests.common import Manifest

if TYPE_CHECKING:
    from llmendpoint.cluster.client import Cluster

SUBJECT = "RBAC"
WATCH = ("list", "watch")
CHILD = ("get", *WATCH, "create", "patch", "delete")

# The chart's rules, which a test compares with these.
NEEDED: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("llmendpoint.dev", "llmendpoints", (*WATCH, "create", "patch", "delete")),
    ("llmendpoint.dev", "llmendpoints/status", ("patch",)),
    ("llmendpoint.dev", "llmendpoints/finalizers", ("update",)),
    ("llmendpoint.dev", "llmbatches", ("get", *WATCH, "delete")),
    ("llmendpoint.dev", "llmbatches/status", ("patch",)),
    ("llmendpoint.dev", "llmbatches/finalizers", ("update",)),
    ("batch", "jobs", CHILD),
    ("apps", "deployments", CHILD),
    ("", "services", CHILD),
    ("", "persistentvolumeclaims", CHILD),
    ("autoscaling", "horizontalpodautoscalers", CHILD),
    ("policy", "poddisruptionbudgets", CHILD),
    ("leaderworkerset.x-k8s.io", "leaderworkersets", CHILD),
    ("gateway.networking.k8s.io", "httproutes", CHILD),
    ("inference.networking.k8s.io", "inferencepools", CHILD),
    ("", "pods", (*WATCH, "patch", "delete")),
    ("", "resourcequotas", ("list",)),
    ("events.k8s.io", "events", ("create",)),
)
# In its own namespace, for the lease by which replicas choose the one that works: its name can not limit creation.
LEADING: tuple[tuple[str, bool], ...] = (("get", True), ("update", True), ("create", False))


@dataclass(frozen=True)
class Review:
    """One permission, and whether the service account has it."""

    account: str
    namespace: str | None
    group: str
    resource: str
    verb: str
    allowed: bool

    @property
    def words(self) -> str:
        """The permission as kubectl auth can-i has it."""
        return f"{self.verb} {self.resource}{f'.{self.group}' if self.group else ''}"


async def review_permissions(cluster: "Cluster", operators: Sequence[Manifest]) -> tuple[Review, ...]:
    """Ask for each permission of each operator, in each namespace that it watches.

    Raises:
        ClusterError: the caller may not ask, for example.
    """
    asked = [
        review(cluster, account_of(operator), namespace, group, resource, verb)
        for operator in operators
        for namespace in watched_namespaces(operator) or (None,)
        for group, resource, verbs in NEEDED
        for verb in verbs
    ]
    for operator in operators:
        name, home = operator["metadata"]["name"], operator["metadata"]["namespace"]
        asked += [
            review(cluster, account_of(operator), home, LEASE.group, LEASE.plural, verb, name if is_named else "")
            for verb, is_named in LEADING
        ]
    return tuple(await asyncio.gather(*asked))


async def review(
    cluster: "Cluster", account: str, namespace: str | None, group: str, resource: str, verb: str, name: str = ""
) -> Review:
    """Ask for one permission of a service account.

    Args:
        account: its user name, ``system:serviceaccount:NAMESPACE:NAME``.
        namespace: None asks for all of them, or for the cluster.
        resource: plural, with its subresource where it is about one.
        name: of one object; empty asks for all of them.

    Raises:
        ClusterError: the caller may not ask, for example.
    """
    plural, _, subresource = resource.partition("/")
    home = account.split(":")[2]
    attributes = {"group": group, "resource": plural, "subresource": subresource, "verb": verb, "name": name}
    answer = await cluster.create(
        {
            "apiVersion": ACCESS_REVIEW.api_version,
            "kind": ACCESS_REVIEW.kind,
            "spec": {
                "user": account,
                "groups": ["system:serviceaccounts", f"system:serviceaccounts:{home}", "system:authenticated"],
                "resourceAttributes": attributes | ({"namespace": namespace} if namespace else {}),
            },
        }
    )
    return Review(account, namespace, group, resource, verb, bool(answer["status"].get("allowed")))


def check_permissions(reviews: tuple[Review, ...] | ClusterError) -> Iterator[Check]:
    """One line, with what is missing."""
    if isinstance(reviews, ClusterError):
        yield unread(SUBJECT, reviews)
        return
    if not reviews:
        return
    missing = [review for review in reviews if not review.allowed]
    account = reviews[0].account.removeprefix("system:serviceaccount:").replace(":", "/")
    if not missing:
        yield Check(level="ok", subject=SUBJECT, found=f"{account} has all {len(reviews)} permissions that it needs")
        return
    words = ", ".join(f"{review.words}{f' in {review.namespace}' if review.namespace else ''}" for review in missing)
    yield Check(
        level="fail",
        subject=SUBJECT,
        found=f"{account} lacks {len(missing)} of {len(reviews)} permissions: {words}",
        todo="helm upgrade the operator's release, which writes its roles",
    )

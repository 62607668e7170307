"""What roles grant, what an account asked for by the audit log, and what it may do by the API server's own word."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from localcluster import auditlog
from localcluster.cluster import Cluster
from support.chart import Manifest, of_kind

EVERYWHERE = ""
"""The namespace of what is granted, or asked for, in all of them or in the cluster."""


class Permission(NamedTuple):
    """One verb on a resource, which is plural and with its subresource; on one object where a name is given."""

    group: str
    resource: str
    verb: str
    name: str = ""

    @classmethod
    def of(cls, rule: Mapping[str, Any]) -> set["Permission"]:
        """Those of a rule, of resources or of paths."""
        return {
            cls(group, resource, verb, name)
            for group in rule.get("apiGroups") or [""]
            for resource in rule.get("resources") or rule["nonResourceURLs"]
            for verb in rule["verbs"]
            for name in rule.get("resourceNames") or [""]
        }


@dataclass(frozen=True)
class Asked:
    """A request for an object or a collection."""

    group: str
    resource: str
    verb: str
    namespace: str
    code: int

    @property
    def used(self) -> Iterator[Permission]:
        """What it took, whatever the object. An apply of what is not there has to be allowed to create it."""
        yield Permission(self.group, self.resource, self.verb)
        if self.verb == "patch" and self.code == 201:
            yield Permission(self.group, self.resource, "create")


def granted_by(bodies: Iterable[Manifest]) -> dict[str, set[Permission]]:
    """What roles grant to those to whom they are bound, by namespace."""
    listed = list(bodies)
    roles = {(body["kind"], body["metadata"].get("namespace"), body["metadata"]["name"]): body for body in listed}
    found: dict[str, set[Permission]] = defaultdict(set)
    for binding in of_kind(listed, "RoleBinding") + of_kind(listed, "ClusterRoleBinding"):
        role, namespace = binding["roleRef"], binding["metadata"].get("namespace")
        for rule in roles[role["kind"], namespace, role["name"]]["rules"]:
            found[namespace or EVERYWHERE] |= Permission.of(rule)
    return found


def asked_by(account: str, log: Path, begin: int) -> list[Asked]:
    """All requests of an account for objects, from a place in the audit log on."""
    return [
        Asked(
            group=target.get("apiGroup", ""),
            resource="/".join(filter(None, (target["resource"], target.get("subresource")))),
            verb=event["verb"],
            namespace=target.get("namespace", EVERYWHERE),
            code=event["responseStatus"]["code"],
        )
        for event in auditlog.read(log, begin)[0]
        if event["user"]["username"] == account and (target := event.get("objectRef"))
    ]


def allowed_to(cluster: Cluster, kubeconfig: Path, namespace: str) -> set[Permission]:
    """All that the account of a kubeconfig may do in a namespace, as the API server says."""
    asked = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
    account = replace(cluster, kubeconfig=kubeconfig)
    answer = json.loads(account.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(asked)).stdout)["status"]
    assert not answer["incomplete"]
    rules = [*answer["resourceRules"], *answer["nonResourceRules"]]
    return {permission for rule in rules for permission in Permission.of(rule)}

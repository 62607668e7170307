"""The kinds that the operator reads and writes, and their REST paths."""

from dataclasses import dataclass

from llmendpoint.api import names
from llmendpoint.election import lease


@dataclass(frozen=True)
class Kind:
    """A Kubernetes kind."""

    api_version: str
    kind: str
    plural: str

    @property
    def group(self) -> str:
        """API group; empty for the core group."""
        return self.api_version.rpartition("/")[0]

    @property
    def version(self) -> str:
        """Version within the group."""
        return self.api_version.rpartition("/")[2]

    def path(self, namespace: str | None, name: str | None = None, subresource: str | None = None) -> str:
        """REST path of the collection or of one object. Without a namespace: all of them, or the cluster."""
        root = f"/apis/{self.api_version}" if self.group else f"/api/{self.api_version}"
        parts = [root, *(["namespaces", namespace] if namespace else []), self.plural, name, subresource]
        return "/".join(part for part in parts if part)


ENDPOINT = Kind(names.API_VERSION, names.KIND, names.PLURAL)
BATCH = Kind(names.API_VERSION, names.BATCH_KIND, names.BATCH_PLURAL)
POD = Kind("v1", "Pod", "pods")
DEPLOYMENT = Kind("apps/v1", "Deployment", "deployments")
SERVICE = Kind("v1", "Service", "services")
CLAIM = Kind("v1", "PersistentVolumeClaim", "persistentvolumeclaims")
JOB = Kind("batch/v1", "Job", "jobs")
HPA = Kind("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
PDB = Kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets")
EVENT = Kind("events.k8s.io/v1", "Event", "events")
QUOTA = Kind("v1", "ResourceQuota", "resourcequotas")
LEASE = Kind(lease.API_VERSION, lease.KIND, "leases")
NODE = Kind("v1", "Node", "nodes")
CRD = Kind("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions")
ACCESS_REVIEW = Kind("authorization.k8s.io/v1", "SubjectAccessReview", "subjectaccessreviews")

LEADER_WORKER_SET = Kind("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet", "leaderworkersets")
HTTP_ROUTE = Kind("gateway.networking.k8s.io/v1", "HTTPRoute", "httproutes")
INFERENCE_POOL = Kind("inference.networking.k8s.io/v1", "InferencePool", "inferencepools")

CHILDREN = (DEPLOYMENT, SERVICE, CLAIM, JOB, HPA, PDB)
OPTIONAL_CHILDREN = (LEADER_WORKER_SET, HTTP_ROUTE, INFERENCE_POOL)
"""Kinds of other projects, names.OPTIONAL_KINDS: an API server serves those that were installed."""
_BY_NAME = {
    kind.kind: kind for kind in (ENDPOINT, BATCH, POD, *CHILDREN, *OPTIONAL_CHILDREN, EVENT, LEASE, ACCESS_REVIEW)
}


def kind_of(manifest_kind: str) -> Kind:
    """The kind by the word in a manifest's ``kind`` field."""
    return _BY_NAME[manifest_kind]

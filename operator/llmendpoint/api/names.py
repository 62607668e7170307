"""The fixed names of the API group, labels, annotations and field managers."""

from typing import Final

GROUP: Final = "llmendpoint.dev"
VERSION: Final = "v1alpha1"
KIND: Final = "LLMEndpoint"
PLURAL: Final = "llmendpoints"
BATCH_KIND: Final = "LLMBatch"
BATCH_PLURAL: Final = "llmbatches"
API_VERSION: Final = f"{GROUP}/{VERSION}"

# Selector labels: fixed, two only. User labels never enter a selector, because selectors are immutable.
LABEL_ENDPOINT: Final = f"{GROUP}/endpoint"
LABEL_COMPONENT: Final = f"{GROUP}/component"
COMPONENT_ENGINE: Final = "engine"
# Where a replica takes several nodes: the pods beside the one that serves.
COMPONENT_ENGINE_WORKER: Final = "engine-worker"
COMPONENT_BUSINESS: Final = "business"
COMPONENT_ACTIVATOR: Final = "activator"
COMPONENT_QUEUE: Final = "queue"
COMPONENT_WORKER: Final = "worker"
COMPONENT_REDIS: Final = "redis"
COMPONENT_GATEWAY: Final = "gateway"
COMPONENT_BATCH: Final = "batch"
COMPONENT_PREFETCH: Final = "prefetch"
# The target of a Service that leads nowhere.
COMPONENT_NONE: Final = "none"

# What a batch owns carries this one, and no endpoint's: a batch's pods are none of an endpoint.
LABEL_BATCH: Final = f"{GROUP}/batch"

# Children whose kinds other projects define. A cluster serves those that somebody installed there.
OPTIONAL_KINDS: Final = frozenset({"LeaderWorkerSet", "HTTPRoute", "InferencePool"})

LABEL_MANAGED_BY: Final = "app.kubernetes.io/managed-by"
MANAGED_BY: Final = "llmendpoint-operator"

# Hash of the desired manifest: an apply that would change nothing is skipped.
ANNOTATION_HASH: Final = f"{GROUP}/desired-hash"
# On engine pods: the folder that they load the model from.
ANNOTATION_MODEL: Final = f"{GROUP}/model-path"
# The adapters that a replica is to serve: its loader reads it by the downward API. It is not in the pod template, whose
# change would replace the pods.
ANNOTATION_ADAPTERS: Final = f"{GROUP}/adapters"
# Read by the ReplicaSet controller: the pod with the lowest cost goes first on scale-in.
ANNOTATION_DELETION_COST: Final = "controller.kubernetes.io/pod-deletion-cost"

# One field manager per role, so that `kubectl get --show-managed-fields` tells who wrote what.
MANAGER_CHILDREN: Final = "llmendpoint"
MANAGER_SCALER: Final = "llmendpoint-scaler"
MANAGER_STATUS: Final = "llmendpoint-status"

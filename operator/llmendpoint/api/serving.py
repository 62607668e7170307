"""The model, the engine that serves it and the business service in front: spec.model, spec.engine, spec.business."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from llmendpoint.api.accelerators import PRODUCT, node_labels, usual_resource
from llmendpoint.api.adapters import Adapter
from llmendpoint.api.base import ApiModel, atomic_list, cel, map_list
from llmendpoint.api.reserved import RESERVED_ARGS, RESERVED_ENV, args_rule, env_rule
from llmendpoint.api.s3 import DNS_LABEL, S3
from llmendpoint.api.sources import Source, source_rules

QUANTITY = r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$"
DNS_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
ENV_NAME = r"^[-._a-zA-Z][-._a-zA-Z0-9]*$"

EngineType = Literal["vLLM", "TGI", "SGLang"]

Quantity = Annotated[int | str, Field(json_schema_extra={"x-kubernetes-int-or-string": True})]


class SecretKeyRef(ApiModel):
    """One key of a Secret in the endpoint's namespace. The operator passes the reference on and never reads it."""

    name: str = Field(description="Name of the Secret, in the namespace of the endpoint.", min_length=1, max_length=253)
    key: str = Field(description="Key in the Secret whose value is used.", min_length=1, max_length=253)


class EnvVarSource(ApiModel):
    """Where the value of an environment variable comes from."""

    secret_key_ref: SecretKeyRef | None = Field(None, description="A key of a Secret.")
    config_map_key_ref: SecretKeyRef | None = Field(None, description="A key of a ConfigMap.")


class EnvVar(ApiModel):
    """An environment variable of a container."""

    name: str = Field(description="Name of the variable.", pattern=ENV_NAME, max_length=253)
    value: str | None = Field(None, description="Its value; leave out when valueFrom is given.", max_length=32768)
    value_from: EnvVarSource | None = Field(None, description="A Secret's or ConfigMap's key to take the value from.")


class Resources(ApiModel):
    """Compute resources of a container, as in a Pod. GPUs go into limits, for example nvidia.com/gpu: 1."""

    limits: dict[str, Quantity] | None = Field(
        None,
        description="The most a container may use; accelerators such as nvidia.com/gpu are counted here.",
    )
    requests: dict[str, Quantity] | None = Field(
        None, description="What the scheduler reserves; defaults to limits for what is not named."
    )


class ResourceClaim(ApiModel):
    """Devices that a driver gives each replica by dynamic resource allocation (DRA, resource.k8s.io/v1)."""

    name: str = Field(description="Name of the claim in the pod.", pattern=DNS_LABEL, max_length=63)
    resource_claim_template_name: str = Field(
        description="ResourceClaimTemplate, in the namespace of the endpoint, that each replica's claim is made from.",
        pattern=DNS_SUBDOMAIN,
        max_length=253,
    )


class Toleration(ApiModel):
    """Lets a pod run on nodes with a matching taint."""

    key: str | None = Field(None, description="Taint key; empty with operator Exists matches every taint.")
    operator: Literal["Exists", "Equal"] | None = Field(None, description="How the key relates to the value.")
    value: str | None = Field(None, description="Taint value to match when the operator is Equal.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        None, description="Taint effect to match; empty matches all."
    )
    toleration_seconds: int | None = Field(None, description="How long a NoExecute taint is tolerated, in seconds.")


_ANEW = (
    "remove model.cache, wait until the claim is gone with what it holds, then add model.cache as you want it; or "
    "create an endpoint of another name"
)


class Cache(ApiModel):
    """A volume that is filled once and shared by the replicas: model weights and the torch.compile cache."""

    size: str = Field(description="Capacity of the claim, for example 60Gi.", pattern=QUANTITY, max_length=32)
    storage_class_name: str | None = Field(
        None, description="StorageClass of the claim; the cluster's default when left out.", max_length=253
    )
    access_mode: Literal["ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"] = Field(
        "ReadWriteMany",
        description="ReadWriteMany lets replicas on several nodes share the cache; ReadWriteOnce ties them to one; "
        "ReadWriteOncePod is for a single replica with rollout Recreate.",
    )
    prefetch: bool = Field(
        False,
        description="Fetch hf:// and s3:// once by a Job before engines start: they load the model from this volume, "
        "offline and without a token. Before a new source or revision is rolled out it is fetched as well.",
    )

    # The claim's own rules, said before the API server refuses the claim for ever.
    model_config = ConfigDict(
        json_schema_extra=cel(
            (
                "self.accessMode == oldSelf.accessMode && has(self.storageClassName) == has(oldSelf.storageClassName) "
                "&& (!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)",
                f"model.cache accessMode and storageClassName can not be changed, as those of a claim: {_ANEW}",
            ),
            (
                "quantity(self.size).compareTo(quantity(oldSelf.size)) >= 0",
                f"model.cache.size can grow and not shrink, as a claim: {_ANEW}",
            ),
        )
    )


class Model(ApiModel):
    """What is served and where its weights come from."""

    source: str = Field(
        description="Where the weights are: hf://owner/name, pvc://claim/path, s3://bucket/prefix or oci://image.",
        max_length=1024,
        json_schema_extra=source_rules("model.source"),
    )
    revision: str | None = Field(
        None,
        description="Branch, tag or commit of an hf:// model; the default branch when left out.",
        min_length=1,
        max_length=256,
    )
    served_name: str | None = Field(
        None,
        description="Model name that clients send; derived from the source when left out.",
        min_length=1,
        max_length=253,
    )
    token_secret_ref: SecretKeyRef | None = Field(
        None, description="Hugging Face token for gated or private models; injected as HF_TOKEN."
    )
    s3: S3 | None = Field(None, description="How s3:// is reached.")
    cache: Cache | None = Field(
        None,
        description="Volume for weights and compile cache; without it every start downloads the weights again.",
    )
    adapters: list[Adapter] | None = Field(
        None,
        description="LoRA adapters, each asked for by its name. vLLM and SGLang load and unload them while they serve; "
        "an empty list lets the engine be ready for the first one. TGI is rolled out at each change.",
        max_length=64,
        json_schema_extra=map_list("name"),
    )

    model_config = ConfigDict(
        json_schema_extra=cel(
            (
                "!has(self.adapters) || !has(self.servedName) || self.adapters.all(a, a.name != self.servedName)",
                "model.adapters[].name must not be model.servedName, by which clients ask for the model itself",
            )
        )
    )

    @property
    def origin(self) -> Source:
        """The source, taken apart."""
        return Source.of(self.source)

    @property
    def is_fetched_first(self) -> bool:
        """Whether a Job fetches it, so that engines find it on the cache volume."""
        return self.cache is not None and self.cache.prefetch and self.origin.is_fetchable


class Engine(ApiModel):
    """The inference server that runs the model: one pod per replica, or one on each of several nodes."""

    type: EngineType = Field("vLLM", description="vLLM (default), TGI or SGLang.")
    image: str | None = Field(
        None,
        description="Container image; the operator's tested default for the type when left out.",
        min_length=1,
        max_length=512,
    )
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = Field(
        None, description="When the image is pulled; Kubernetes' default when left out."
    )
    image_pull_secrets: list[str] = Field(
        default_factory=list,
        description="Names of Secrets with registry credentials, for every pod of this endpoint.",
        max_length=16,
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    args: list[Annotated[str, Field(max_length=1024)]] = Field(
        default_factory=list,
        description="Extra arguments of the engine, after those that the operator sets. "
        "Write --flag=value or --flag, value.",
        max_length=128,
        json_schema_extra=atomic_list(),
    )
    env: list[EnvVar] = Field(
        default_factory=list,
        description="Extra environment variables of the engine container.",
        max_length=128,
        json_schema_extra=map_list("name"),
    )
    accelerator: str | None = Field(
        None,
        description="Product that a node must have to run a replica, as its label says it: NVIDIA-L4 or Tesla-T4 "
        "(nvidia.com/gpu.product), nvidia-l4 (cloud.google.com/gke-accelerator) or AMD_Instinct_MI300X_OAM "
        "(amd.com/gpu.product-name). The same label in nodeSelector wins.",
        max_length=63,
        json_schema_extra=cel(
            (
                f"self.matches('{PRODUCT}')",
                "engine.accelerator must be a product as the nodes' labels have it, for example NVIDIA-L4, Tesla-T4, "
                "nvidia-l4 (GKE) or AMD_Instinct_MI300X_OAM: see kubectl get nodes --show-labels, and choose nodes "
                "with other labels by engine.nodeSelector",
            )
        ),
    )
    resources: Resources | None = Field(
        None,
        description="Compute resources of one replica, on each of its nodes where nodesPerReplica is above 1. Without "
        "them and without resourceClaims it is one GPU: nvidia.com/gpu, or amd.com/gpu where accelerator is AMD's.",
    )
    nodes_per_replica: int = Field(
        1,
        description="Pods, each on a node of its own, over which one replica is spread, for a model that needs more "
        "GPUs than a node has. Above 1 the engine is a LeaderWorkerSet, which must be installed: the leader serves, a "
        "group restarts as one, and replicas are groups. For vLLM and SGLang.",
        ge=1,
        le=64,
    )
    resource_claims: list[ResourceClaim] = Field(
        default_factory=list,
        description="Devices by dynamic resource allocation, for the engine's container. They are not counted: give "
        "the engine its tensor-parallel size in args.",
        max_length=16,
        json_schema_extra=map_list("name"),
    )
    node_selector: dict[str, str] | None = Field(None, description="Labels that a node must have to run a replica.")
    tolerations: list[Toleration] = Field(
        default_factory=list,
        description="Taints that a replica tolerates.",
        max_length=32,
        json_schema_extra=atomic_list(),
    )
    api_key_secret_ref: SecretKeyRef | None = Field(
        None,
        description="API key that the engine asks clients for; injected as OPENAI_API_KEY into the business service. "
        "vLLM asks for it under /v1, /v2 and /inference alone: /invocations generates text without it, and "
        "/metrics and /health are open in all engines. Let a NetworkPolicy say who may reach the engine.",
    )
    startup_timeout_seconds: int = Field(
        900,
        description="Seconds a replica may take from container start to ready before it is restarted.",
        ge=10,
        le=86400,
    )
    drain_seconds: int = Field(
        60,
        description="Seconds a terminating replica gets to finish the streams it has; the longest answer should fit.",
        ge=0,
        le=7200,
    )
    pre_stop_seconds: int = Field(
        5,
        description="Seconds a terminating replica keeps accepting while the cluster stops sending to it.",
        ge=1,
        le=300,
    )
    rollout: Literal["Surge", "Recreate"] = Field(
        "Surge",
        description="Surge starts a new replica before an old one drains, so serving capacity never drops; it needs "
        "one spare replica's GPUs. Recreate drains first, for clusters without a spare GPU: requests fail meanwhile.",
    )
    pod_template: dict[str, Any] | None = Field(
        None,
        description="Escape hatch: a pod template merged strategically over what the operator makes. Host paths, "
        "privileges, service accounts and the like are refused unless the operator's administrator allows them.",
        json_schema_extra={"x-kubernetes-preserve-unknown-fields": True},
    )

    @property
    def replica_resources(self) -> Resources:
        """What one replica asks for."""
        if self.resources is not None:
            return self.resources
        return Resources() if self.resource_claims else Resources(limits={usual_resource(self.accelerator): 1})

    @property
    def node_labels(self) -> dict[str, str]:
        """Labels that a node must have to run a replica."""
        return {**(node_labels(self.accelerator) if self.accelerator else {}), **(self.node_selector or {})}

    @property
    def is_spread(self) -> bool:
        """Whether one replica takes several nodes."""
        return self.nodes_per_replica > 1

    model_config = ConfigDict(
        json_schema_extra=cel(
            *map(args_rule, RESERVED_ARGS),
            *map(env_rule, RESERVED_ENV),
            (
                "self.type != 'TGI' || self.nodesPerReplica == 1",
                "engine.nodesPerReplica must be 1 for TGI, which serves a model on one node: set engine.type to vLLM "
                "or SGLang",
            ),
        )
    )


class BusinessReplicas(ApiModel):
    """Bounds of the business service's own HorizontalPodAutoscaler on CPU."""

    min: int = Field(1, description="Fewest replicas.", ge=1, le=1000)
    max: int = Field(1, description="Most replicas; an HPA is made when it is above 1.", ge=1, le=1000)
    target_cpu_utilization: int = Field(
        70,
        alias="targetCPUUtilization",
        description="CPU use in per cent of the request that the HPA aims at. The request is 500m where resources do "
        "not say.",
        ge=1,
        le=100,
    )

    model_config = ConfigDict(
        json_schema_extra=cel(("self.min <= self.max", "business.replicas.min must not be above business.replicas.max"))
    )


class Business(ApiModel):
    """The service in front of the engine, a RAG application for example. It finds the engine by LLM_BASE_URL."""

    image: str = Field(description="Container image of the service.", min_length=1, max_length=512)
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = Field(
        None, description="When the image is pulled; Kubernetes' default when left out."
    )
    port: int = Field(8000, description="Port that the service listens on.", ge=1, le=65535)
    placement: Literal["Separate", "Sidecar"] = Field(
        "Separate",
        description="Separate: a Deployment of its own (microservices). "
        "Sidecar: a container in every engine pod (monolith); it starts when the engine is ready and ends before it.",
    )
    command: list[str] = Field(
        default_factory=list,
        description="Entry point; the image's when left out.",
        max_length=64,
        json_schema_extra=atomic_list(),
    )
    args: list[str] = Field(
        default_factory=list,
        description="Arguments of the entry point.",
        max_length=128,
        json_schema_extra=atomic_list(),
    )
    env: list[EnvVar] = Field(
        default_factory=list,
        description="Extra variables. LLM_BASE_URL, OPENAI_BASE_URL, OPENAI_API_KEY, LLM_MODEL and LLM_ENDPOINT_NAME "
        "are injected, and LLM_ASYNC_URL where there is spec.async.",
        max_length=128,
        json_schema_extra=map_list("name"),
    )
    readiness_path: str = Field(
        "/healthz",
        description="HTTP path that answers 2xx when the service can take requests.",
        pattern="^/",
        max_length=1024,
    )
    resources: Resources | None = Field(None, description="Compute resources of one replica.")
    replicas: BusinessReplicas = Field(BusinessReplicas(), description="How many replicas when placement is Separate.")

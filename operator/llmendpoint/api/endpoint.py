"""The LLMEndpoint object: its spec as a whole and how one is read from the API server's JSON."""

from collections.abc import Mapping
from typing import Any

from pydantic import ConfigDict, Field

from llmendpoint.api.asynchronous import Asynchronous
from llmendpoint.api.base import ApiModel, cel, identity_of
from llmendpoint.api.gateway import Gateway
from llmendpoint.api.scaling import Scaling
from llmendpoint.api.serving import Business, Engine, Model
from llmendpoint.api.status import EndpointStatus

# Child names add a suffix of up to 10 characters and must stay DNS labels of at most 63.
MAX_NAME_LENGTH = 50


class EndpointSpec(ApiModel):
    """One production LLM service: a model, the engine that serves it, a business service and its scaling."""

    model: Model = Field(description="What is served and where its weights come from.")
    engine: Engine = Field(Engine(), description="The inference server that runs the model.")
    business: Business | None = Field(None, description="The service in front of the engine; optional.")
    scaling: Scaling | None = Field(None, description="How many engine replicas run; without it spec.replicas counts.")
    async_: Asynchronous | None = Field(
        None,
        alias="async",
        description="Takes jobs beside requests: answered later, by the same engines, which scale on what waits.",
    )
    gateway: Gateway | None = Field(
        None, description="Lets clients in from outside of the cluster, through Gateways of the Gateway API."
    )
    replicas: int | None = Field(
        None,
        description="Engine replicas when scaling is absent, Off or DryRun. kubectl scale, HPA and KEDA write it.",
        ge=0,
        le=1000,
    )

    @property
    def is_scaled(self) -> bool:
        """Whether the scaler writes the replica count."""
        return self.scaling is not None and self.scaling.mode == "Active"

    model_config = ConfigDict(
        json_schema_extra=cel(
            (
                "!has(self.business) || self.business.placement != 'Sidecar' || "
                "!(self.business.port in (self.engine.type == 'TGI' ? [8080, 9000] : "
                "self.engine.type == 'SGLang' ? [30000] : [8000]))",
                "business.port must not be the engine's (8000 for vLLM, 30000 for SGLang, 8080 and for metrics 9000 "
                "for TGI) when business.placement is Sidecar, because both share the pod's network: let the service "
                "listen on another port",
            ),
            (
                "!has(self.model.cache) || self.model.cache.accessMode != 'ReadWriteOncePod' || "
                "self.engine.rollout == 'Recreate' && (has(self.scaling) && self.scaling.mode == 'Active' ? "
                "self.scaling.maxReplicas : has(self.replicas) ? self.replicas : 1) <= 1 && "
                "(!has(self.scaling) || self.scaling.schedules.all(s, !has(s.maxReplicas) || s.maxReplicas <= 1))",
                "model.cache.accessMode ReadWriteOncePod lets one pod use it: set engine.rollout to Recreate and "
                "let at most one replica run (scaling.maxReplicas, or replicas where scaling is not Active), or use "
                "ReadWriteMany",
            ),
            (
                "!has(self.gateway) || !has(self.gateway.inferencePool) || !has(self.business)",
                "gateway.inferencePool chooses among the engine's replicas, and with a business service requests from "
                "outside go to that: leave gateway.inferencePool out, or business",
            ),
            (
                "!has(self.gateway) || !has(self.gateway.inferencePool) || !has(self.scaling) || "
                "self.scaling.mode != 'Active' || self.scaling.minReplicas > 0 && "
                "self.scaling.schedules.all(s, !has(s.minReplicas) || s.minReplicas > 0)",
                "gateway.inferencePool leads to replicas only, so that no request could wake an endpoint that sleeps: "
                "set scaling.minReplicas, and that of each schedule, to 1 or more, or leave gateway.inferencePool out",
            ),
            (
                "self.engine.nodesPerReplica == 1 || !has(self.business) || self.business.placement != 'Sidecar'",
                "business.placement must be Separate when engine.nodesPerReplica is above 1: any container that is "
                "restarted restarts its whole group, and the model is loaded again",
            ),
            (
                "self.engine.nodesPerReplica == 1 || !has(self.model.cache) || "
                "self.model.cache.accessMode == 'ReadWriteMany'",
                "model.cache.accessMode must be ReadWriteMany when engine.nodesPerReplica is above 1, because pods on "
                "several nodes use the cache: use a storage class that can, or leave model.cache out",
            ),
            (
                "!(has(self.scaling) && self.scaling.mode == 'Active') || !has(self.replicas) || "
                "(has(oldSelf.replicas) && oldSelf.replicas == self.replicas)",
                "spec.replicas can not be set while scaling.mode is Active, where the scaler owns the count: set "
                "scaling.mode to Off, or change scaling.minReplicas and scaling.maxReplicas",
            ),
        )
    )


class Endpoint(ApiModel):
    """One LLMEndpoint as read from the API server."""

    name: str
    namespace: str
    uid: str
    generation: int
    deleting: bool = False
    spec: EndpointSpec
    status: EndpointStatus = EndpointStatus()

    @classmethod
    def from_object(cls, body: Mapping[str, Any], known: EndpointSpec | None = None) -> "Endpoint":
        """Read an object as the API server returns it.

        Args:
            known: its spec, where that was read before.

        Raises:
            pydantic.ValidationError: the object breaks the schema, as one stored under an older CRD may.
        """
        return cls(
            **identity_of(body),
            deleting="deletionTimestamp" in body["metadata"],
            spec=known or EndpointSpec.model_validate(body.get("spec") or {}),
            status=EndpointStatus.model_validate(body.get("status") or {}),
        )

"""A way in from outside of the cluster through the Gateway API: spec.gateway."""

from typing import Annotated, Literal

from pydantic import Field

from llmendpoint.api.base import ApiModel, atomic_list, cel

DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
# As the Gateway API has them.
SECTION = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
HOSTNAME = r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
SAME_GATEWAY = (
    "p.name == q.name && (has(p.__namespace__) ? p.__namespace__ : '') == (has(q.__namespace__) ? q.__namespace__ : '')"
)
SAME_SECTION = "has(p.sectionName) == has(q.sectionName) && (!has(p.sectionName) || p.sectionName == q.sectionName)"

Hostname = Annotated[str, Field(pattern=HOSTNAME, min_length=1, max_length=253)]


class ParentRef(ApiModel):
    """A Gateway that requests come through."""

    name: str = Field(description="Name of the Gateway.", min_length=1, max_length=253)
    namespace: str | None = Field(
        None,
        description="Its namespace, if it is another than the endpoint's. Its listener has to allow routes from there.",
        pattern=DNS_LABEL,
        max_length=63,
    )
    section_name: str | None = Field(
        None, description="Name of one of its listeners; left out, all of them.", pattern=SECTION, max_length=253
    )
    port: int | None = Field(None, description="Port of its listeners; left out, all of them.", ge=1, le=65535)


class EndpointPickerRef(ApiModel):
    """The Service of an endpoint picker, which chooses a replica for each request. It is not the operator's."""

    name: str = Field(
        description="Name of the Service, in the namespace of the endpoint.", min_length=1, max_length=253
    )
    port: int = Field(description="Port of the Service, 9002 as pickers are usually installed.", ge=1, le=65535)
    failure_mode: Literal["FailOpen", "FailClose"] = Field(
        "FailClose",
        description="What the Gateway does while the picker does not answer: FailOpen sends requests to any replica, "
        "FailClose refuses them.",
    )


class InferencePool(ApiModel):
    """An InferencePool of the engine's pods: a picker chooses among them by what they have in work and in cache."""

    endpoint_picker_ref: EndpointPickerRef = Field(description="Who chooses.")


class Gateway(ApiModel):
    """A route from Gateways, which somebody else runs, to the endpoint."""

    parent_refs: list[ParentRef] = Field(
        description="Gateways that requests come through.",
        min_length=1,
        max_length=8,
        json_schema_extra=atomic_list()
        | cel(
            (
                f"self.all(p, self.exists_one(q, {SAME_GATEWAY} && {SAME_SECTION})) && "
                f"self.all(p, self.all(q, !({SAME_GATEWAY}) || has(p.sectionName) == has(q.sectionName)))",
                "gateway.parentRefs must each name another Gateway, or where several name one, each another "
                "sectionName of it",
            )
        ),
    )
    hostnames: list[Hostname] = Field(
        default_factory=list,
        description="Host names by which clients reach the endpoint, for example llama.example.com. Left out, those of "
        "the Gateway's listeners: only one endpoint can be behind such a listener.",
        max_length=16,
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    scheme: Literal["http", "https"] = Field(
        "http",
        description="Scheme of the URL in status.url: https where the Gateway's listener ends TLS, which the operator "
        "can not see.",
    )
    inference_pool: InferencePool | None = Field(
        None,
        description="Lets a picker choose the replica for each request, in place of the Service. Without a business "
        "service only, and with at least one replica.",
    )

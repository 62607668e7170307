"""The base of every API model: camelCase outside, snake_case inside, unknown fields tolerated on read."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class ApiModel(BaseModel):
    """A part of a Kubernetes object.

    Unknown fields are ignored on read, so that an older operator survives a newer CRD; the API server
    prunes or refuses them on write.
    """

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)

    def to_wire(self) -> dict[str, Any]:
        """The JSON form that the API server reads: camelCase, absent fields left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def identity_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """Name, namespace, uid and generation of an object as the API server returns it, by these names."""
    metadata = body["metadata"]
    return {
        "name": metadata["name"],
        "namespace": metadata.get("namespace", "default"),
        "uid": metadata.get("uid", ""),
        "generation": metadata.get("generation", 0),
    }


def cel(*rules: tuple[str, str], **extra: Any) -> dict[str, Any]:
    """Schema keywords for CEL rules given as (rule, message) pairs; ``extra`` is merged in as it is."""
    return {"x-kubernetes-validations": [{"rule": r, "message": m} for r, m in rules], **extra}


def map_list(*keys: str) -> dict[str, Any]:
    """Schema keywords of a list that server-side apply merges by ``keys``."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


def atomic_list() -> dict[str, Any]:
    """Schema keywords of a list that one writer owns whole."""
    return {"x-kubernetes-list-type": "atomic"}


__all__: Sequence[str] = ["ApiModel", "atomic_list", "cel", "identity_of", "map_list"]

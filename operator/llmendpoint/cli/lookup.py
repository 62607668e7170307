"""Finding endpoints in a cluster, and the sentence where there is none of that name, or no such kind at all."""

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import ValidationError

from llmendpoint.api import names
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.cli.connection import Where, ask
from llmendpoint.cli.files import fail
from llmendpoint.cluster.errors import ClusterError, NotFound
from llmendpoint.cluster.kinds import ENDPOINT
from llmendpoint.manifests.common import Manifest

if TYPE_CHECKING:
    from llmendpoint.cluster.client import Cluster

NO_KIND = (
    f"this cluster has no kind {names.KIND}: install the operator with "
    "helm install llmendpoint-operator charts/llmendpoint-operator -n llmendpoint-system --create-namespace"
)


def the_endpoint(where: Where, name: str) -> Endpoint:
    """One endpoint of the namespace that is meant; ends the command where there is none."""
    return ask(where, lambda cluster: _endpoint(cluster, where.namespace or cluster.namespace, name))


def the_endpoints(where: Where, *, everywhere: bool) -> tuple[str | None, list[Endpoint]]:
    """The namespace that is meant, None for all of them, and its endpoints by their names."""
    return ask(where, lambda cluster: _endpoints(cluster, None if everywhere else where.namespace or cluster.namespace))


async def _endpoint(cluster: "Cluster", namespace: str, name: str) -> Endpoint:
    body = await cluster.get(ENDPOINT, namespace, name)
    if body is None:
        fail(await _absence(cluster, namespace, name))
    return _readable(body)


async def _endpoints(cluster: "Cluster", namespace: str | None) -> tuple[str | None, list[Endpoint]]:
    found = [_readable(body) for body in await _listed(cluster, namespace)]
    return namespace, sorted(found, key=lambda endpoint: (endpoint.namespace, endpoint.name))


def _readable(body: Manifest) -> Endpoint:
    """The endpoint that an object is; ends the command where this version can not read it."""
    try:
        return Endpoint.from_object(body)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        metadata = body["metadata"]
        fail(
            f"{metadata['namespace']}/{metadata['name']} is not as this version knows it: {where}: "
            f"{error.errors()[0]['msg']}; compare versions with llmendpoint doctor"
        )


async def _listed(cluster: "Cluster", namespace: str | None) -> list[Manifest]:
    try:
        return await cluster.list(ENDPOINT, namespace)
    except NotFound:
        fail(NO_KIND)


async def _absence(cluster: "Cluster", namespace: str, name: str) -> str:
    """Why there is no endpoint of a name, and which one may be meant."""
    here = {body["metadata"]["name"] for body in await _listed(cluster, namespace)}
    try:
        everywhere = await cluster.list(ENDPOINT)
    except ClusterError:  # looking elsewhere may not be allowed
        everywhere = []
    others = sorted(body["metadata"]["namespace"] for body in everywhere if body["metadata"]["name"] == name)
    return absence(namespace, name, here, others)


def absence(namespace: str, name: str, here: Iterable[str], elsewhere: list[str]) -> str:
    """The sentence for a name that is not there.

    Args:
        here: the names in the namespace.
        elsewhere: namespaces that have an endpoint of the name.
    """
    known = sorted(here)
    said = f'there is no LLMEndpoint "{name}" in namespace {namespace}'
    if elsewhere:
        return f"{said}; there is one in {', '.join(elsewhere)}: add -n {elsewhere[0]}"
    if close := difflib.get_close_matches(name, known, 1):
        return f'{said}; do you mean "{close[0]}"?'
    return f"{said}; it has {', '.join(known)}" if known else f"{said}, which has none at all"

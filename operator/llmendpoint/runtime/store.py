"""What the watches last said: endpoints, their children and their pods, by the endpoint's key.

A watch can miss a deletion, so a live listing replaces the content of the store now and then. What the watches say
while the listing is on its way may be newer than the listing, so it is said again afterwards.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from llmendpoint.api import names
from llmendpoint.api.endpoint import Endpoint, EndpointSpec
from llmendpoint.runtime.sharing import Sharing

Manifest = Mapping[str, Any]


class Key(NamedTuple):
    """Namespace and name of an endpoint."""

    namespace: str
    name: str


ObjectKey = tuple[str, str]
"""(kind, name) within the namespace of an endpoint."""


GONE_KEPT = 1000
LOOKED_AT = ("nodeName", "resourceClaims", "terminationGracePeriodSeconds")
IDENTITY = ("namespace", "name", "uid", "resourceVersion", "labels")


class Store:
    """A cache of API objects. Nothing in it is ever changed in place."""

    def __init__(self) -> None:
        self.served: frozenset[str] = frozenset()
        """Which of names.OPTIONAL_KINDS the API server serves."""
        self._endpoints: dict[Key, Manifest] = {}
        self._objects: dict[Key, dict[ObjectKey, Manifest]] = defaultdict(dict)
        self._specs: dict[Key, tuple[str, int, EndpointSpec]] = {}
        """(uid, generation, what it says)"""
        self._meanwhile: list[tuple[Callable[[Manifest], object], Manifest]] | None = None
        """Changes since a listing began, in their order; None while there is none."""
        self._shared = Sharing()
        self._listed: list[Manifest] = []
        """What the listing that is on its way has told so far, slim."""
        self._gone: dict[str, Manifest] = {}
        """What was deleted last, by uid: the answer to an earlier write may still come in."""

    @property
    def keys(self) -> tuple[Key, ...]:
        """Keys of all endpoints."""
        return tuple(self._endpoints)

    def endpoint(self, key: Key) -> Manifest | None:
        """The endpoint object, where it exists."""
        return self._endpoints.get(key)

    def read(self, body: Manifest) -> Endpoint:
        """What an endpoint object says. The spec of one that is here is parsed once for each generation.

        Raises:
            pydantic.ValidationError: it breaks the schema, as one stored under an older CRD may.
        """
        metadata = body["metadata"]
        key = Key(metadata["namespace"], metadata["name"])
        uid, generation, spec = self._specs.get(key, ("", 0, None))
        is_known = (uid, generation) == (metadata["uid"], metadata.get("generation", 0))
        endpoint = Endpoint.from_object(body, spec if is_known else None)
        if key in self._endpoints:
            self._specs[key] = endpoint.uid, endpoint.generation, endpoint.spec
        return endpoint

    def children(self, key: Key) -> list[Manifest]:
        """What the endpoint owns, pods aside."""
        return [body for (kind, _), body in self._of(key) if kind != "Pod"]

    def pods(self, key: Key) -> list[Manifest]:
        """The endpoint's pods."""
        return [body for (kind, _), body in self._of(key) if kind == "Pod"]

    def _of(self, key: Key) -> list[tuple[ObjectKey, Manifest]]:
        return list(self._objects[key].items()) if key in self._objects else []

    def put(self, body: Manifest) -> Key | None:
        """Remember an object. Returns the key of the endpoint that it concerns, unless nothing is new."""
        key = self._key_of_news(body)
        if key is not None:
            slim = self._shared.of(_slim(body))
            self._keep(key, slim)
            self._note(self.put, slim)
        return key

    def drop(self, body: Manifest) -> Key | None:
        """Forget an object that was deleted. Returns the key of the endpoint that it concerns."""
        self._note(self.drop, _identified(body))
        self._bury(body)
        key, known = self._locate(body)
        if key is None or (known is not None and known["metadata"]["uid"] != body["metadata"]["uid"]):
            return None
        if body["kind"] == names.KIND:
            self._endpoints.pop(key, None)
            self._specs.pop(key, None)
        else:
            self._objects[key].pop(_object_key(body), None)
            if not self._objects[key]:
                del self._objects[key]
        return key

    def begin_listing(self) -> None:
        """A live listing begins: remember what changes until it has ended."""
        self._listed, self._meanwhile = [], []

    def add_listed(self, body: Manifest) -> None:
        """An object of the listing. One that is known as it is does not take memory a second time."""
        _, known = self._locate(body)
        if known is None or _identified(known) != _identified(body):
            known = self._shared.of(_slim(body))
        self._listed.append(known)

    def end_listing(self) -> set[Key]:
        """Make the listing the content, and repeat what has changed since it began.

        Returns every key that exists or has just gone.
        """
        before = set(self._endpoints) | set(self._objects)
        meanwhile, self._meanwhile = self._meanwhile or [], None
        self._endpoints.clear()
        self._objects.clear()
        listed, self._listed = self._listed, []
        for slim in listed:
            if (key := self._key_of_news(slim)) is not None:
                self._keep(key, slim)
        for say, body in meanwhile:
            say(body)
        self._specs = {key: spec for key, spec in self._specs.items() if key in self._endpoints}
        return before | set(self._endpoints) | set(self._objects)

    def _key_of_news(self, body: Manifest) -> Key | None:
        """The key of the endpoint that an object concerns; None where it concerns none, or nothing is new."""
        key, known = self._locate(body)
        known = known or self._gone.get(body["metadata"]["uid"])
        return None if known is not None and not _is_newer(body, known) else key

    def _keep(self, key: Key, slim: Manifest) -> None:
        if slim["kind"] == names.KIND:
            self._endpoints[key] = slim
        else:
            self._objects[key][_object_key(slim)] = slim

    def _bury(self, body: Manifest) -> None:
        self._gone[body["metadata"]["uid"]] = _identified(body)
        if len(self._gone) > GONE_KEPT:
            del self._gone[next(iter(self._gone))]

    def _note(self, say: Callable[[Manifest], object], body: Manifest) -> None:
        if self._meanwhile is not None:
            self._meanwhile.append((say, body))

    def _locate(self, body: Manifest) -> tuple[Key | None, Manifest | None]:
        metadata = body["metadata"]
        if body["kind"] == names.KIND:
            key = Key(metadata["namespace"], metadata["name"])
            return key, self._endpoints.get(key)
        owner = (metadata.get("labels") or {}).get(names.LABEL_ENDPOINT)
        if not owner:
            return None, None
        key = Key(metadata["namespace"], owner)
        return key, self._objects[key].get(_object_key(body)) if key in self._objects else None


def _object_key(body: Manifest) -> ObjectKey:
    return body["kind"], body["metadata"]["name"]


def _is_newer(body: Manifest, known: Manifest) -> bool:
    new, old = body["metadata"], known["metadata"]
    if new["uid"] != old["uid"]:
        return True
    # Resource versions of one object are ordered since Kubernetes 1.35 (KEP-5504) and were so in practice before.
    try:
        return int(new["resourceVersion"]) > int(old["resourceVersion"])
    except ValueError:
        return bool(new["resourceVersion"] != old["resourceVersion"])


def _identified(body: Manifest) -> Manifest:
    """Which object it is, in which version, and of which endpoint."""
    metadata = body["metadata"]
    kept = {name: metadata[name] for name in IDENTITY if name in metadata}
    return {"kind": body["kind"], "metadata": kept}


def _slim(body: Manifest) -> Manifest:
    """What is of use here.

    managedFields are half of an object. The spec of a pod is most of what is left, and little of it is looked at.
    """
    metadata = {key: value for key, value in body["metadata"].items() if key != "managedFields"}
    return {**body, "metadata": metadata} | ({"spec": _slim_pod(body)} if body["kind"] == "Pod" else {})


def _slim_pod(pod: Manifest) -> Manifest:
    """The spec of a pod, reduced to LOOKED_AT and to the ports and limits of its containers."""
    spec = pod.get("spec", {})
    slim: dict[str, Any] = {
        part: [_slim_container(container) for container in containers]
        for part in ("initContainers", "containers")
        if (containers := spec.get(part))
    }
    return slim | {name: spec[name] for name in LOOKED_AT if name in spec}


def _slim_container(container: Manifest) -> Manifest:
    slim = {"name": container["name"], "ports": container.get("ports") or []}
    limits = (container.get("resources") or {}).get("limits")
    policy = container.get("restartPolicy")
    return slim | ({"resources": {"limits": limits}} if limits else {}) | ({"restartPolicy": policy} if policy else {})

"""One class that talks to the API server: get, list, apply, patch, delete, create, replace."""

import asyncio
import contextlib
import json
import re
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any
from urllib.request import getproxies

import aiohttp
from kubernetes.aio import client as kube
from kubernetes.aio.client.rest import RESTClientObject

from llmendpoint.cluster.errors import NotFound, Unreachable, error_of
from llmendpoint.cluster.fence import Fence
from llmendpoint.cluster.kinds import Kind, kind_of
from llmendpoint.cluster.kubeconfig import Access, find_access

Manifest = dict[str, Any]

# More at once do not help: the API server is the limit by then.
WRITES_IN_FLIGHT = 16
REQUEST_TIMEOUT = 20.0
LIST_PAGE = 100
NO_LINGERING = struct.pack("ii", 1, 0)
_NOT_ASCII = re.compile(r"[^\x20-\x7e]")


class Cluster:
    """A connection to one API server. Every failure is a ClusterError.

    Use ``async with Cluster.connect(fence) as cluster``. What is written passes the fence.
    """

    def __init__(self, api: kube.ApiClient, access: Access, fence: Fence) -> None:
        self._api = api
        self._access = access
        self._fence = fence
        self._writes = asyncio.Semaphore(WRITES_IN_FLIGHT)
        self.answered: Callable[[str, str, float], object] = lambda *_: None
        """Is told of each request: its verb, the status that was answered or "<error>", and the seconds it took."""

    @classmethod
    @contextlib.asynccontextmanager
    async def connect(
        cls, fence: Fence, kubeconfig: str | None = None, context: str | None = None
    ) -> AsyncIterator["Cluster"]:
        """Connect as the pod's service account when in a cluster, else by kubeconfig.

        Raises:
            ClusterError: neither a service account nor a usable kubeconfig was found.
        """
        access = await find_access(kubeconfig, context)
        # Or each request would look for a proxy and, in a thread, for ~/.netrc.
        access.configuration.client_session_kwargs = {"trust_env": bool(getproxies())}
        async with kube.ApiClient(access.configuration) as api:
            api.rest_client = _Transport(access.configuration)
            yield cls(api, access, fence)

    @property
    def server(self) -> str:
        """URL of the API server, and by which context it was found."""
        host = str(self._access.configuration.host)
        return f"{host} (context {self._access.context})" if self._access.context else host

    @property
    def namespace(self) -> str:
        """The namespace that counts where none is named."""
        return self._access.namespace

    async def version(self) -> str:
        """Version of the API server, for example v1.35.0."""
        return str((await self._request("GET", "/version"))["gitVersion"])

    async def serves(self, kind: Kind) -> bool:
        """Whether the API server serves a kind, as its discovery says, which every account may ask."""
        try:
            found = await self._request("GET", f"/apis/{kind.api_version}")
        except NotFound:
            return False
        return any(resource["name"] == kind.plural for resource in found.get("resources") or ())

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Manifest | None:
        """One object, or None where there is none. Objects of the cluster have no namespace."""
        try:
            return await self._request("GET", kind.path(namespace, name))
        except NotFound:
            return None

    async def read(self, path: str, query: Mapping[str, str] | None = None) -> str:
        """The text behind a path, for example what a pod answers through the API server's proxy."""
        return (await self._answer("GET", path, query=query, accept="*/*")).decode(errors="replace")

    async def list(self, kind: Kind, namespace: str | None = None, selector: str = "") -> list[Manifest]:
        """All objects of a kind in one namespace, or in all, that match a label selector."""
        return [item async for item in self.each(kind, namespace, selector)]

    async def each(self, kind: Kind, namespace: str | None = None, selector: str = "") -> AsyncIterator[Manifest]:
        """The same one by one, of which a page at a time is in memory: a pod takes 50 KB there."""
        query = {"limit": str(LIST_PAGE)} | ({"labelSelector": selector} if selector else {})
        while True:
            page = await self._request("GET", kind.path(namespace), query=query)
            for item in page.pop("items"):
                yield {"apiVersion": kind.api_version, "kind": kind.kind} | item
            token = page["metadata"].get("continue")
            if not token:
                return
            query["continue"] = token

    async def apply(self, manifest: Mapping[str, Any], *, manager: str) -> Manifest:
        """Server-side apply, by force, of all that ``manager`` owns in the object. Returns the object as stored."""
        metadata = manifest["metadata"]
        path = kind_of(manifest["kind"]).path(metadata["namespace"], metadata["name"])
        async with self._writes:
            return await self._request(
                "PATCH",
                path,
                query={"fieldManager": manager, "force": "true"},
                body=apply_body(manifest),
                # With its parameter, or the client would write JSON.
                content_type="application/apply-patch+yaml; charset=utf-8",
            )

    async def merge_patch(
        self, kind: Kind, namespace: str, name: str, patch: Mapping[str, Any], *, manager: str
    ) -> Manifest:
        """JSON merge patch of an object."""
        async with self._writes:
            return await self._request(
                "PATCH",
                kind.path(namespace, name),
                query={"fieldManager": manager},
                body=patch,
                content_type="application/merge-patch+json",
            )

    async def set_status(
        self, kind: Kind, namespace: str, name: str, uid: str, status: Mapping[str, Any], *, manager: str
    ) -> Manifest:
        """Make ``status`` all that this incarnation of an object says of itself. Returns the object as stored.

        An apply would leave what somebody else has written into it, which without the rest can be invalid for ever.
        """
        patch: list[Manifest] = [
            {"op": "test", "path": "/metadata/uid", "value": uid},
            {"op": "add", "path": "/status", "value": status},
        ]
        async with self._writes:
            return await self._request(
                "PATCH",
                kind.path(namespace, name, "status"),
                query={"fieldManager": manager},
                body=patch,
                content_type="application/json-patch+json",
            )

    async def create(self, manifest: Mapping[str, Any], *, manager: str | None = None) -> Manifest:
        """Create an object.

        Raises:
            Conflict: one of that name exists.
        """
        path = kind_of(manifest["kind"]).path(manifest.get("metadata", {}).get("namespace"))
        async with self._writes:
            query = {"fieldManager": manager} if manager else None
            return await self._request("POST", path, query=query, body=manifest)

    async def replace(self, manifest: Mapping[str, Any]) -> Manifest:
        """Replace an object. Returns it as stored.

        Raises:
            Conflict: it has not the manifest's resource version any more.
        """
        metadata = manifest["metadata"]
        async with self._writes:
            return await self._request(
                "PUT", kind_of(manifest["kind"]).path(metadata["namespace"], metadata["name"]), body=manifest
            )

    async def delete(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        *,
        uid: str | None = None,
        grace_seconds: int | None = None,
    ) -> None:
        """Delete an object and, in the background, what it owns. An absent one is fine.

        Args:
            uid: delete only this incarnation of the name.
            grace_seconds: overrides the pod's own grace period.
        """
        options: Manifest = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if uid:
            options["preconditions"] = {"uid": uid}
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        async with self._writes:
            with contextlib.suppress(NotFound):
                await self._request("DELETE", kind.path(namespace, name), body=options)

    async def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | Sequence[Mapping[str, Any]] | str | None = None,
        content_type: str = "application/json",
    ) -> Manifest:
        raw = await self._answer(method, path, query=query, body=body, content_type=content_type)
        try:
            parsed: Manifest = json.loads(raw)
        except ValueError as error:
            raise Unreachable(f"{method} {path}: the answer is cut off or no JSON") from error
        return parsed

    async def _answer(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | Sequence[Mapping[str, Any]] | str | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> bytes:
        what = f"{method} {path}"
        request = await self._api.param_serialize(
            method,
            path,
            query_params=list((query or {}).items()),
            header_params={"Accept": accept, "Content-Type": content_type},
            body=body,
            auth_settings=["BearerToken"],
        )
        started, code = time.monotonic(), "<error>"
        try:
            with self._fence.passed(what) if method != "GET" else contextlib.nullcontext():
                answer = await self._api.call_api(*request, _request_timeout=REQUEST_TIMEOUT)
                raw: bytes = await answer.read()
                code = str(answer.status)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Unreachable(what, said=f"{type(error).__name__}: {error}") from error
        except kube.ApiException as error:
            code = str(error.status) if error.status else code
            raise error_of(error.status or 0, str(error.body or error.reason).encode(), what) from error
        finally:
            self.answered(method, code, time.monotonic() - started)
        if not 200 <= answer.status <= 299:
            raise error_of(answer.status, raw, what)
        return raw


def apply_body(manifest: Mapping[str, Any]) -> str:
    """JSON that is YAML as well, which is what an apply is read as.

    JSON escapes a character beyond U+FFFF, an emoji for example, as two halves, and YAML refuses each of them.
    """
    text = json.dumps(manifest, ensure_ascii=False)
    return _NOT_ASCII.sub(lambda found: _escaped(ord(found[0])), text)


def _escaped(code: int) -> str:
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


class _Transport(RESTClientObject):  # type: ignore[misc] # the client ships no types
    """The client's HTTP, on sockets that send nothing after they were closed.

    By default the system goes on to deliver what a closed socket, or an ended process, has written. Behind a network
    that is away for a while that is an old replica count, delivered when another leader has decided on a new one.
    """

    def _create_connector(self) -> aiohttp.TCPConnector:
        return aiohttp.TCPConnector(limit=self.maxsize, ssl=self.ssl_context, socket_factory=_socket)


def _socket(address: aiohttp.AddrInfoType) -> socket.socket:
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGERING)
    return made

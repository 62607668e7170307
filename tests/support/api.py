"""A bare client of the API server: it sends what it is given, however wrong, and tells what came back."""

import base64
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml


@dataclass(frozen=True)
class Answer:
    """What the API server said."""

    code: int
    body: dict[str, Any]

    @property
    def sentence(self) -> str:
        """Why it refused, in its words."""
        return str(self.body.get("message", ""))


class Api:
    """A connection by a kubeconfig."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    @classmethod
    @asynccontextmanager
    async def connected(cls, kubeconfig: Path, directory: Path) -> AsyncIterator["Api"]:
        known = yaml.safe_load(kubeconfig.read_text())
        connector = aiohttp.TCPConnector(limit=16, ssl=credentials(known, directory))
        async with aiohttp.ClientSession(connector=connector) as session:
            yield cls(session, known["clusters"][0]["cluster"]["server"])

    async def send(self, method: str, path: str, body: Any = None, *, kind: str = "json") -> Answer:
        """One request; ``kind`` is that of a patch where it is one, for example ``json-patch+json``."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": f"application/{kind}"}
        async with self._session.request(method, self._url + path, data=data, headers=headers) as answer:
            text = await answer.text()
            try:
                parsed = json.loads(text)
            except ValueError:
                parsed = {"message": text}
            return Answer(answer.status, parsed)


def credentials(known: dict[str, Any], directory: Path) -> ssl.SSLContext:
    """Those of a kubeconfig as kwok writes it, with certificates in files or inline."""
    cluster, user = known["clusters"][0]["cluster"], known["users"][0]["user"]

    def file_of(section: dict[str, str], name: str) -> str | None:
        if f"{name}-data" in section:
            aside = directory / f"{name}.pem"
            aside.write_bytes(base64.b64decode(section[f"{name}-data"]))
            return str(aside)
        return section.get(name)

    authority = file_of(cluster, "certificate-authority")
    context = ssl.create_default_context(cafile=authority)
    if authority is None:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    certificate = file_of(user, "client-certificate")
    assert certificate, "the relay logs in by a client certificate"
    context.load_cert_chain(certificate, file_of(user, "client-key"))
    return context

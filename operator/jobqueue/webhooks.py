"""Where webhooks may go, and how they are signed.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from yarl import URL

from jobqueue.jobs import Job

SECRET_PREFIX = "whsec_"  # noqa: S105 - the name of one
# A URL may have more between its slashes: an address with a zone, say, that ends like a name.
_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_-]{1,63}([.][a-z0-9_-]{1,63})*")


@dataclass(frozen=True)
class AllowedHosts:
    """Hosts to which webhooks go: all others could be the cluster's own.

    Each is a host name, or ``*.DOMAIN`` for all names below a domain, with a port where it is not the scheme's.
    """

    hosts: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "AllowedHosts":
        """Of a list with commas.

        Raises:
            ValueError: an entry is neither a host nor ``*.DOMAIN``.
        """
        hosts = tuple(host.strip().lower() for host in text.split(",") if host.strip())
        for host in hosts:
            if "*" in host.removeprefix("*.") or "/" in host:
                raise ValueError(f"--webhook-hosts: {host!r} is neither HOST nor *.DOMAIN, with or without :PORT")
        return cls(hosts)

    def allow(self, url: URL) -> bool:
        """Whether a webhook may go there."""
        host = (url.raw_host or "").lower()
        if url.scheme not in {"http", "https"} or not _NAME.fullmatch(host) or url.user or url.password:
            return False
        place = host if url.is_default_port() else f"{host}:{url.port}"
        return any(place.endswith(named[1:]) if named.startswith("*.") else place == named for named in self.hosts)


def secret_bytes(text: str) -> bytes:
    """The key in a secret of Standard Webhooks: ``whsec_`` and 24 to 64 bytes in base64.

    Raises:
        ValueError: it is none.
    """
    encoded = text.strip()
    try:
        key = base64.b64decode(encoded.removeprefix(SECRET_PREFIX), validate=True)
    except ValueError:
        key = b""
    if not encoded.startswith(SECRET_PREFIX) or not 24 <= len(key) <= 64:
        raise ValueError(f"WEBHOOK_SECRET must be {SECRET_PREFIX} followed by 24 to 64 random bytes in base64")
    return key


def message(job: Job, now: datetime) -> bytes:
    """What a webhook says: the job with its response."""
    data = {"type": f"job.{job.status}", "timestamp": now.astimezone(UTC).isoformat(), "data": job.to_json()}
    return json.dumps(data, separators=(",", ":")).encode()


def signed_headers(key: bytes, message_id: str, body: bytes, now: datetime) -> Mapping[str, str]:
    """The headers by which a receiver knows who sent it, when, and that it is no repetition."""
    seconds = str(int(now.timestamp()))
    digest = hmac.digest(key, f"{message_id}.{seconds}.".encode() + body, hashlib.sha256)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": seconds,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }

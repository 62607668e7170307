"""What can go wrong at the API server, as one small tree.

ClusterError
├── Unreachable    no answer: connection refused, time-out, 5xx; worth a retry
├── Throttled      429; worth a retry later
├── NotFound       404
├── Conflict       409
│   └── NotOwned   the name is taken by somebody else's object, which was left as it is
├── Forbidden      401 or 403: the operator's RBAC is short
├── NotLeading     nothing was sent: another replica of the operator may be writing
└── Refused        400 or 422: the object itself is not accepted
"""

import json


class ClusterError(Exception):
    """The API server did not do what was asked.

    Args:
        what: what was asked, or went wrong.
        status: HTTP status; 0 where there was no answer.
        said: what was answered, in the words of who answered.
    """

    def __init__(self, what: str, *, status: int = 0, said: str = "") -> None:
        super().__init__(f"{what}: {said}" if said else what)
        self.status = status
        self.said = said


class Unreachable(ClusterError):
    """No usable answer; the same request may succeed later."""


class Throttled(ClusterError):
    """The API server asks for a pause."""


class NotFound(ClusterError):
    """The object, or its kind, does not exist."""


class Conflict(ClusterError):
    """The object exists already or was changed by somebody else."""


class NotOwned(Conflict):
    """The name is taken by an object of somebody else. It was left as it is."""


class Forbidden(ClusterError):
    """The operator's service account may not do this."""


class NotLeading(ClusterError):
    """This process may not write now, and sent nothing."""


class Refused(ClusterError):
    """The API server does not accept the object; the message says why."""


_BY_STATUS: dict[int, type[ClusterError]] = {
    400: Refused,
    401: Forbidden,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: NotFound,
    422: Refused,
    429: Throttled,
}


def error_of(status: int, body: bytes, request: str) -> ClusterError:
    """The error that an answer stands for. ``request`` names what was asked, for the message."""
    try:
        message = json.loads(body).get("message") or body.decode(errors="replace")
    except (ValueError, AttributeError):
        message = body.decode(errors="replace")
    kind = _BY_STATUS.get(status, Unreachable if status >= 500 else ClusterError)
    return kind(request, status=status, said=message.strip()[:2000])

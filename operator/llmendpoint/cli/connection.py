"""The options that say which cluster and which endpoints are meant, and how a question is put to a cluster."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from llmendpoint.cli.files import fail
from llmendpoint.cluster.errors import ClusterError, Forbidden, Unreachable
from llmendpoint.cluster.fence import Fence

if TYPE_CHECKING:
    from llmendpoint.cluster.client import Cluster

PANEL = "Cluster"
Answer = TypeVar("Answer")

Context = Annotated[
    str | None, typer.Option("--context", metavar="NAME", help="Context of the kubeconfig.", rich_help_panel=PANEL)
]
Kubeconfig = Annotated[
    str | None,
    typer.Option(
        "--kubeconfig", metavar="FILE", help="Kubeconfig in place of KUBECONFIG or ~/.kube/config.",
        rich_help_panel=PANEL,
    ),
]  # fmt: skip
Namespace = Annotated[
    str | None,
    typer.Option(
        "--namespace", "-n", metavar="NAME", help="Namespace; the context's own when left out.", rich_help_panel=PANEL
    ),
]  # fmt: skip
AllNamespaces = Annotated[
    bool, typer.Option("--all-namespaces", "-A", help="Endpoints of every namespace.", rich_help_panel=PANEL)
]


@dataclass(frozen=True)
class Where:
    """Which cluster is asked, and about which namespace."""

    kubeconfig: str | None = None
    context: str | None = None
    namespace: str | None = None


def ask(where: Where, question: Callable[["Cluster"], Awaitable[Answer]]) -> Answer:
    """The answer to a question to the cluster; what keeps it from being answered ends the command with a sentence."""
    try:
        return asyncio.run(_asked(where, question))
    except ClusterError as error:
        fail(str(error))


async def _asked(where: Where, question: Callable[["Cluster"], Awaitable[Answer]]) -> Answer:
    from llmendpoint.cluster.client import Cluster  # its client takes a second to load, which other commands spare

    async with Cluster.connect(Fence.without_election(), where.kubeconfig, where.context) as cluster:
        try:
            return await question(cluster)
        except ClusterError as error:
            fail(sentence(error, cluster.server))


def sentence(error: ClusterError, server: str) -> str:
    """What a failed request means to a person, and what to do."""
    if isinstance(error, Unreachable) and not error.status:
        return f"no answer from the API server {server}: {error.said}; is it the right --context, and does it run?"
    if error.status == 401:
        return f"the API server {server} does not know you: log in again, or choose another --context"
    if isinstance(error, Forbidden):
        return f"not allowed: {error.said}; ask for a role that allows it, for example view in the namespace"
    return str(error)

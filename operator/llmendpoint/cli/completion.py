"""Names of endpoints as arguments, completed from the cluster by the shell."""

import asyncio
from typing import Annotated, Any

import typer

from llmendpoint.cluster.errors import ClusterError
from llmendpoint.cluster.fence import Fence
from llmendpoint.cluster.kinds import ENDPOINT

# Somebody waits with a finger on the key.
SECONDS = 3.0


def _names(ctx: typer.Context, incomplete: str) -> list[str]:
    """The endpoints that may be meant; none where the cluster does not say."""
    try:
        found = asyncio.run(asyncio.wait_for(_listed(ctx.params), SECONDS))
    except (ClusterError, TimeoutError):
        return []
    return sorted(name for name in found if name.startswith(incomplete))


async def _listed(params: dict[str, Any]) -> list[str]:
    from llmendpoint.cluster.client import Cluster

    async with Cluster.connect(Fence.without_election(), params.get("kubeconfig"), params.get("context")) as cluster:
        bodies = await cluster.list(ENDPOINT, params.get("namespace") or cluster.namespace)
        return [body["metadata"]["name"] for body in bodies]


Name = Annotated[str, typer.Argument(metavar="NAME", help="The endpoint.", autocompletion=_names)]
OptionalName = Annotated[
    str | None, typer.Argument(metavar="NAME", help="One endpoint; all when left out.", autocompletion=_names)
]

"""Names of endpoints as arguments, completed from the cluster by the shell."""

import asyncio
from typing import Annotated

import typer

from llmendpoint.cluster.errors import ClusterError
from llmendpoint.cluster.fence import Fence
from llmendpoint.cluster.kinds import ENDPOINT

# Somebody waits with a finger on the key.
SECONDS = 3.0


def _names(ctx: typer.Context, incomplete: str) -> list[str]:
    """The endpoints that may be meant; none where the cluster does not say."""
    from llmendpoint.cluster.client import Cluster  # before the time is taken, which is for the cluster to answer in

    async def listed() -> list[str]:
        access = ctx.params.get("kubeconfig"), ctx.params.get("context")
        async with asyncio.timeout(SECONDS), Cluster.connect(Fence.without_election(), *access) as cluster:
            bodies = await cluster.list(ENDPOINT, ctx.params.get("namespace") or cluster.namespace)
            return [body["metadata"]["name"] for body in bodies]

    try:
        found = asyncio.run(listed())
    except (ClusterError, TimeoutError):
        return []
    return sorted(name for name in found if name.startswith(incomplete))


Name = Annotated[str, typer.Argument(metavar="NAME", help="The endpoint.", autocompletion=_names)]
OptionalName = Annotated[
    str | None, typer.Argument(metavar="NAME", help="One endpoint; all when left out.", autocompletion=_names)
]

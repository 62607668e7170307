"""The decision in one sentence."""

from llmendpoint.scaling.decision import Replicas


def sentence(
    *,
    why: str,
    raw: int,
    current: int,
    desired: int,
    replicas: Replicas,
    holding: str | None,
    wait: float | None,
) -> str:
    """Sum, wish, what there is, what is done.

    Args:
        holding: what the rules say that changed the wish.
        wait: seconds until what is ordered should be ready.
    """
    coming = f"{replicas.ready} + {replicas.starting + replicas.unschedulable} starting"
    if replicas.unready:
        coming += f" + {replicas.unready} not ready just now"
    parts = [f"{why}; want {raw}, have {coming}"]
    if holding:
        parts.append(holding)
    if desired > current:
        parts.append(f"scale out {current} -> {desired}")
    elif desired < current:
        parts.append(f"scale in {current} -> {desired}")
    else:
        parts.append(f"stay at {current}")
    if wait is not None:
        parts.append(f"ready in about {wait:.0f} s")
    return "; ".join(parts)

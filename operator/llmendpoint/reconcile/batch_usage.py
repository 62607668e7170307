"""GPU-hours and cost of a batch: what its endpoint uses while it works, added up over suspensions and new endpoints."""

from llmendpoint.api.batch import BatchUsage, Counted
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.reconcile.usage import opened


def counted_usage(
    known: BatchUsage | None, endpoint: Endpoint | None, *, counts: bool, is_own: bool, now: float, price: float | None
) -> BatchUsage | None:
    """The usage of a batch after a look at its endpoint.

    Args:
        counts: whether what was used since the last look is the batch's; otherwise it is left out.
        is_own: a new endpoint of the batch's own is counted from its beginning, another one from now on.
        now: seconds since the epoch.
        price: per GPU-hour, where the endpoint gives none.
    """
    if endpoint is None or endpoint.status.usage is None:
        return known
    scaling = endpoint.spec.scaling
    given = scaling.price_per_gpu_hour if scaling else None
    held = opened(endpoint.status.usage, now).until(now, price if given is None else given).held
    hours, cost = 0.0, None
    if known is not None and known.counted.uid == endpoint.uid:
        hours, cost = known.counted.gpu_hours, known.counted.cost
    elif not is_own:
        hours, cost = held.gpu_hours, held.cost
    before = known or BatchUsage(gpu_hours=0.0, counted=Counted(uid=endpoint.uid, gpu_hours=0.0))
    more = max(held.gpu_hours - hours, 0.0) if counts else 0.0
    more_cost = max(held.cost - (cost or 0.0), 0.0) if counts and held.cost is not None else 0.0
    has_cost = before.cost is not None or held.cost is not None
    return BatchUsage(
        gpu_hours=round(before.gpu_hours + more, 6),
        cost=round((before.cost or 0.0) + more_cost, 6) if has_cost else None,
        counted=Counted(uid=endpoint.uid, gpu_hours=round(held.gpu_hours, 6), cost=_rounded(held.cost)),
    )


def _rounded(cost: float | None) -> float | None:
    return None if cost is None else round(cost, 6)

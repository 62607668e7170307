"""The two cooldowns, as AWS Application Auto Scaling defines them, with their times in the state.

https://docs.aws.amazon.com/autoscaling/application/userguide/target-tracking-scaling-policy-overview.html
"""

from dataclasses import replace

from llmendpoint.scaling.decision import Replicas
from llmendpoint.scaling.state import ScalerState

# A replica that no node takes is given up as coming capacity after this long.
UNSCHEDULABLE_SECONDS = 120.0


def settle(state: ScalerState, replicas: Replicas, now: float) -> ScalerState:
    """Note when the replicas of the last scale-out are ready or have failed: the scale-out cooldown starts then."""
    if state.scale_out_at is None or state.scale_out_done_at is not None:
        return state
    given_up = replicas.unschedulable if replicas.oldest_unschedulable_age >= UNSCHEDULABLE_SECONDS else 0
    # A later scale-in may have taken some of them back.
    expected = min(state.scale_out_to, state.desired)
    if replicas.ready + replicas.unready + given_up >= expected or now - state.scale_out_at >= replicas.startup_timeout:
        return replace(state, scale_out_done_at=now)
    return state


def scale_out_until(state: ScalerState, cooldown: float, now: float) -> float | None:
    """When the scale-out cooldown ends; None when there is none. Before its replicas are ready the end is a guess."""
    if state.scale_out_at is None or cooldown <= 0:
        return None
    until = (state.scale_out_done_at if state.scale_out_done_at is not None else now) + cooldown
    return until if now < until else None


def scale_in_until(state: ScalerState, cooldown: float, now: float) -> float | None:
    """When the scale-in cooldown ends; None when there is none."""
    if state.scale_in_at is None or now >= state.scale_in_at + cooldown:
        return None
    return state.scale_in_at + cooldown


def scaled(state: ScalerState, desired: int, now: float) -> ScalerState:
    """The state after the count was changed to ``desired``."""
    if desired > state.desired:
        return replace(
            state,
            desired=desired,
            scale_out_at=now,
            scale_out_to=desired,
            scale_out_done_at=None,
            scale_in_at=None,
        )
    if desired < state.desired:
        return replace(state, desired=desired, scale_in_at=now, last_scale_in_at=now)
    return state

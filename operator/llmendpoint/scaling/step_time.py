"""How long a step of an engine takes, learned from its counters at any load.

A step of continuous batching takes alpha + beta x sequences + gamma x prompt tokens. So over any span a replica is busy
for

    alpha x steps + beta x generated tokens + gamma x prompt tokens

seconds. Nothing has to be saturated to learn what saturation would be. The reading of the KV cache, which grows with
the context, is part of beta.

The fit is least squares over spans of half a minute with coefficients that are not negative: old spans are forgotten,
and a weak pull to a prior holds what the spans do not tell apart (ridge regression).
"""

from dataclasses import dataclass
from typing import ClassVar

from pydantic import ConfigDict

from llmendpoint.scaling.activity import Activity
from llmendpoint.scaling.wire import WIRE, Number

# Seconds: alpha, beta and gamma of an 8 B model on a small GPU. Rather slow: the first replicas are better too many.
PRIOR = (0.03, 2e-4, 2e-4)
# Weight of the prior beside that of one busy replica for half a minute.
PRIOR_WEIGHT = 0.02
SPAN_SECONDS = 30.0
# Six hours. What is exchanged on purpose is known sooner: see doubted().
FORGETTING = SPAN_SECONDS / 21_600.0
# No more than that of a busy replica for about a span: less would leave nothing but the prior.
DOUBTED_WEIGHT = 0.1
# Two minutes of one replica, half a minute of four.
FEWEST_SPANS = 4.0
SWEEPS = 6
LEAST_FACTOR = 0.01

Three = tuple[Number, Number, Number]
Six = tuple[Number, Number, Number, Number, Number, Number]


@dataclass(frozen=True)
class StepTime:
    """The normal equations of the fit, and the span under way."""

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    gram: Six = (PRIOR_WEIGHT, 0.0, 0.0, PRIOR_WEIGHT, 0.0, PRIOR_WEIGHT)
    """Upper triangle of the sum of products of the three features, each in units of its prior."""
    moment: Three = (PRIOR_WEIGHT, PRIOR_WEIGHT, PRIOR_WEIGHT)
    """Sum of products of features and busy share."""
    factors: Three = (1.0, 1.0, 1.0)
    """alpha, beta and gamma by their prior."""
    spans: Number = 0.0
    """Spans of one replica learned from, counted up to FEWEST_SPANS."""
    elapsed: Number = 0.0
    """Length of the span under way, in seconds."""
    seconds: Number = 0.0
    """Replica-seconds of it."""
    busy_seconds: Number = 0.0
    """Busy ones of them."""
    done: Three = (0.0, 0.0, 0.0)
    """Steps, generated tokens and prompt tokens of the span."""

    @property
    def is_learned(self) -> bool:
        """Whether enough was seen."""
        return self.spans >= FEWEST_SPANS

    @property
    def coefficients(self) -> tuple[float, float, float]:
        """Alpha, beta and gamma in seconds."""
        alpha, beta, gamma = self.factors
        return alpha * PRIOR[0], beta * PRIOR[1], gamma * PRIOR[2]

    def doubted(self) -> "StepTime":
        """The same coefficients with little weight: spans of other replicas outweigh them within minutes."""
        xx, _, _, yy, _, zz = self.gram
        keep = min(DOUBTED_WEIGHT / (xx + yy + zz), 1.0)
        gram, moment = _kept(self.gram, self.moment, keep)
        return StepTime(gram, moment, self.factors, self.spans)

    def learned(self, activity: Activity, busy_seconds: float) -> "StepTime":
        """The fit after one more reading.

        Args:
            busy_seconds: replica-seconds in which a batch ran.
        """
        steps, generated, prompt = self.done
        done = (steps + activity.steps, generated + activity.generation_tokens, prompt + activity.prompt_tokens)
        elapsed, seconds = self.elapsed + activity.elapsed, self.seconds + activity.seconds
        busy = self.busy_seconds + busy_seconds
        if elapsed < SPAN_SECONDS:
            return StepTime(self.gram, self.moment, self.factors, self.spans, elapsed, seconds, busy, done)
        if not any(done):
            return StepTime(self.gram, self.moment, self.factors, self.spans)
        features = (done[0] * PRIOR[0] / seconds, done[1] * PRIOR[1] / seconds, done[2] * PRIOR[2] / seconds)
        gram, moment = _added(self.gram, self.moment, features, busy / seconds, seconds / SPAN_SECONDS)
        factors = _solved(gram, moment, self.factors)
        return StepTime(gram, moment, factors, min(self.spans + seconds / SPAN_SECONDS, FEWEST_SPANS))


def _added(gram: Six, moment: Three, features: Three, busy: float, weight: float) -> tuple[Six, Three]:
    """The normal equations with one more span; what spans said is forgotten, and the prior is not."""
    x, y, z = features
    (xx, xy, xz, yy, yz, zz), (of_x, of_y, of_z) = _kept(gram, moment, 1.0 - FORGETTING)
    u, v, w = weight * x, weight * y, weight * z
    return (
        (xx + u * x, xy + u * y, xz + u * z, yy + v * y, yz + v * z, zz + w * z),
        (of_x + u * busy, of_y + v * busy, of_z + w * busy),
    )


def _kept(gram: Six, moment: Three, keep: float) -> tuple[Six, Three]:
    """The normal equations with a share of what the spans said, and the whole prior."""
    pull = (1.0 - keep) * PRIOR_WEIGHT
    xx, xy, xz, yy, yz, zz = gram
    x, y, z = moment
    return (
        (keep * xx + pull, keep * xy, keep * xz, keep * yy + pull, keep * yz, keep * zz + pull),
        (keep * x + pull, keep * y + pull, keep * z + pull),
    )


def _solved(gram: Six, moment: Three, start: Three) -> Three:
    """Coefficients that are not negative, by Gauss-Seidel from those of the last span."""
    xx, xy, xz, yy, yz, zz = gram
    x, y, z = moment
    a, b, c = start
    for _ in range(SWEEPS):
        a = max((x - xy * b - xz * c) / xx, LEAST_FACTOR)
        b = max((y - xy * a - yz * c) / yy, LEAST_FACTOR)
        c = max((z - xz * a - yz * b) / zz, LEAST_FACTOR)
    return a, b, c

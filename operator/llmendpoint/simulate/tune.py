"""Settings of spec.scaling that are cheaper and keep the service level, searched with Optuna's TPE sampler.

They are chosen on one part of the trace and reported on the rest, where they may do worse: what is found on all of a
trace fits its accidents too.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import optuna

from llmendpoint.api.scaling import Scaling
from llmendpoint.simulate.compare import split
from llmendpoint.simulate.knobs import Knob, with_values
from llmendpoint.simulate.operator_policy import OperatorPolicy
from llmendpoint.simulate.parallel import Replays
from llmendpoint.simulate.replay import Scenario
from llmendpoint.simulate.results import Result
from llmendpoint.simulate.sweep import merit

BATCH = 4
"""Trials that are drawn at once, however many run at once: the search is the same on every machine."""

Values = Mapping[str, float]
"""By path in spec.scaling; none for the settings as they are."""


@dataclass(frozen=True)
class Trial:
    """Some settings, what they came to where they were chosen, and on the rest."""

    values: Values
    gpu_hours: float
    attainment: float
    scored: Result | None = None
    """On the part of the trace that did not choose; None where it was not replayed."""


@dataclass
class Tuning:
    """What a search came to, or has come to so far."""

    knobs: Sequence[Knob]
    slo_attainment: float
    trials: list[Trial] = field(default_factory=list)
    """The first one is of the settings as they are."""

    @property
    def best(self) -> Trial:
        """The cheapest that keep the service level, or those that come nearest."""
        return max(self.trials, key=lambda trial: merit(trial, self.slo_attainment))

    @property
    def frontier(self) -> list[Trial]:
        """Those than which no cheaper ones have as good an attainment, cheapest first."""
        chosen: list[Trial] = []
        for trial in sorted(self.trials, key=lambda trial: (trial.gpu_hours, -trial.attainment)):
            if not chosen or trial.attainment > chosen[-1].attainment:
                chosen.append(trial)
        return chosen


def tune(
    tuning: Tuning,
    scenario: Scenario,
    scaling: Scaling,
    *,
    slots: int,
    trials: int,
    choose_on: float,
    jobs: int = 1,
    on_replay: Callable[[], None] = lambda: None,
) -> None:
    """Search for the cheapest settings that keep the service level; the same seed finds the same, whatever the jobs.

    Args:
        tuning: gets what is found as it is found, so that it is there when the search is interrupted.
        slots: requests that one replica works on at once at most.
        trials: settings to try, beside those that are.
        choose_on: share of the trace, from its start, that chooses; the rest is reported. 0: both on the whole.
    """
    parts = [part.warm_within(scaling.min_replicas, scaling.max_replicas) for part in split(scenario, choose_on)]
    with Replays(parts, jobs, on_replay) as replays:

        def run(values: Values, part: int = 0) -> Result:
            policy = OperatorPolicy(with_values(scaling, values), slots=slots)
            return replays.run(policy, part)

        def try_all(several: Sequence[Values]) -> list[Trial]:
            results = replays.map(run, several)
            return [
                Trial(values, result.gpu_hours, result.ttft_attainment, None if len(parts) > 1 else result)
                for values, result in zip(several, results, strict=True)
            ]

        tuning.trials += try_all([{}])
        for found in _search(scaling, tuning, trials, scenario.seed, try_all):
            tuning.trials += found
        if len(parts) > 1:
            shown = [tuning.trials[0], *(trial for trial in tuning.frontier if trial.values)]
            results = replays.map(lambda trial: run(trial.values, 1), shown)
            for trial, result in zip(shown, results, strict=True):
                tuning.trials[tuning.trials.index(trial)] = replace(trial, scored=result)


def _search(
    scaling: Scaling, tuning: Tuning, trials: int, seed: int, try_all: Callable[[Sequence[Values]], list[Trial]]
) -> Iterator[list[Trial]]:
    """Draw settings near those that did well, batch by batch; the first ones are those that are."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed, multivariate=True))
    current = {knob.path: knob.read(scaling) for knob in tuning.knobs}
    study.enqueue_trial(
        {knob.path: knob.span.nearest(value) for knob in tuning.knobs if (value := current[knob.path]) is not None}
    )
    for start in range(0, trials, BATCH):
        asked = [study.ask() for _ in range(min(BATCH, trials - start))]
        found = try_all([{knob.path: _drawn(knob, trial) for knob in tuning.knobs} for trial in asked])
        for trial, tried in zip(asked, found, strict=True):
            trial.set_constraint("attainment", tuning.slo_attainment - tried.attainment)
            study.tell(trial, tried.gpu_hours)
        yield found


def _drawn(knob: Knob, trial: optuna.Trial) -> float:
    span = knob.span
    if span.whole:
        return float(trial.suggest_int(knob.path, round(span.low), round(span.high), log=True))
    return span.rounded(trial.suggest_float(knob.path, span.low, span.high, log=True))

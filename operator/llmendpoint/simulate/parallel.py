"""Many replays of few scenarios, in processes of their own. The results do not depend on how many there are."""

import multiprocessing
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from types import TracebackType
from typing import Self, TypeVar

from llmendpoint.simulate.peers.peer import Bounds
from llmendpoint.simulate.peers.static import Static
from llmendpoint.simulate.policy import ScalingPolicy
from llmendpoint.simulate.replay import Scenario, replay
from llmendpoint.simulate.results import Result

WARM_UP_SECONDS = 60.0

Item = TypeVar("Item")
Found = TypeVar("Found")


class Replays:
    """Replays policies on the scenarios that it was given. The end of its ``with`` block ends the processes.

    Args:
        jobs: processes; with one, the replays run in this one.
        on_replay: called after each replay, from any thread.
    """

    def __init__(
        self, scenarios: Sequence[Scenario], jobs: int = 1, on_replay: Callable[[], None] = lambda: None
    ) -> None:
        self.scenarios = scenarios
        self._jobs = jobs
        self._on_replay = on_replay
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        if self._jobs > 1:
            # Compiles the engine model, or finds it on disk as the processes then do: none compiles it for itself.
            replay(self.scenarios[0].between(0.0, WARM_UP_SECONDS), Static(0, Bounds()))
            # Not forked: a fork copies the locks of other threads in whatever state they are.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self._jobs, context, _begin, (self.scenarios,))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def run(self, policy: ScalingPolicy, scenario: int = 0, warm_replicas: int | None = None) -> Result:
        """Replay a fresh policy on the scenario of that number and wait for the result. Any thread may call it.

        Args:
            warm_replicas: ready replicas at the start, where they are to be others than the scenario's.
        """
        if self._pool is None:
            result = _replay(self.scenarios[scenario], policy, warm_replicas)
        else:
            result = self._pool.submit(_replay_here, scenario, policy, warm_replicas).result()
        self._on_replay()
        return result

    def map(self, function: Callable[[Item], Found], items: Sequence[Item]) -> list[Found]:
        """What a function that runs replays gives for each item; where there are processes, for all at once."""
        if self._pool is None or len(items) < 2:
            return [function(item) for item in items]
        with ThreadPoolExecutor(len(items)) as threads:
            return list(threads.map(function, items))


_scenarios: Sequence[Scenario] = ()
"""Those of this process: they are large, and sent once."""


def _begin(scenarios: Sequence[Scenario]) -> None:
    global _scenarios  # noqa: PLW0603 - the process is begun for it
    _scenarios = scenarios
    # Ctrl-C ends it at once and without a word: the process that waits for it speaks.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _replay_here(scenario: int, policy: ScalingPolicy, warm_replicas: int | None) -> Result:
    return _replay(_scenarios[scenario], policy, warm_replicas)


def _replay(scenario: Scenario, policy: ScalingPolicy, warm_replicas: int | None) -> Result:
    return replay(scenario if warm_replicas is None else replace(scenario, warm_replicas=warm_replicas), policy)

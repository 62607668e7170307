"""The operator's own scaler as a policy of the simulator: derive() and decide(), called as the operator's tick does."""

from llmendpoint.api.scaling import Scaling
from llmendpoint.scaling.scaler import decide
from llmendpoint.scaling.signals import ReadingWindow, derive
from llmendpoint.scaling.state import ScalerState, initial_state
from llmendpoint.scaling.target_tracking import reads_ttft
from llmendpoint.simulate.policy import Order, View
from llmendpoint.simulate.telemetry import with_histogram

PERIOD_SECONDS = 10.0
STALE_PERIODS = 3


class OperatorPolicy:
    """spec.scaling, decided on each tick. The mode is taken as Active.

    Args:
        slots: requests that one replica works on at once at most.
        metric_delay: age of the samples in seconds; 0 when the operator reads the pods itself.
    """

    name = "llmendpoint"

    def __init__(
        self,
        scaling: Scaling,
        *,
        slots: int,
        period: float = PERIOD_SECONDS,
        metric_delay: float = 0.0,
    ) -> None:
        self._scaling = scaling.model_copy(update={"mode": "Active"})
        self._slots = slots
        self._reads_ttft = reads_ttft(scaling)
        self.period = period
        self.metric_delay = metric_delay
        self._window = ReadingWindow()
        self._state: ScalerState = initial_state(0, 0.0)
        self._ticked_at = 0.0

    def start(self, replicas: int) -> None:
        """Begin as the operator does for a Deployment that runs already."""
        self._state = initial_state(replicas, 0.0)

    def order(self, view: View) -> Order:
        """Read, learn how long starts take, decide."""
        self._learn_cold_starts(view)
        self._window, signals = derive(
            self._window,
            map(with_histogram, view.pods) if self._reads_ttft else view.pods,
            view.now,
            slots=self._slots,
            stale_seconds=STALE_PERIODS * self.period,
            with_ttft=self._reads_ttft,
            held=0 if view.ready or view.proxy is None else view.proxy.held,
        )
        self._state, decision = decide(self._scaling, self._state, signals, view.replicas, view.now)
        return Order(decision.desired, decision=decision)

    def _learn_cold_starts(self, view: View) -> None:
        """Take the start time of replicas that became ready since the last tick, undisturbed first starts only."""
        for pod in view.pods:
            if pod.ready_since is not None and pod.ready_since > self._ticked_at and not pod.restarts:
                self._state = self._state.learn_cold_start(pod.ready_since - pod.created)
        self._ticked_at = view.now

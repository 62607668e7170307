"""Series per endpoint whose values are kept elsewhere: totals that outlive the process, and what the scaler decided."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from llmendpoint.reconcile.usage import Account
from llmendpoint.scaling.decision import Decision

LABELS = ("namespace", "name")
Key = tuple[str, str]
"""(namespace, name)"""


class EndpointSeries(Collector):
    """What is known of each endpoint now. Where something is not known, there is no series."""

    def __init__(self) -> None:
        self.accounts: dict[Key, Account] = {}
        self.decisions: dict[Key, Decision] = {}

    def forget(self, key: Key) -> None:
        """The endpoint is gone."""
        self.accounts.pop(key, None)
        self.decisions.pop(key, None)

    def collect(self) -> Iterator[Metric]:
        """All series."""
        yield from self._usage()
        yield from self._trials()
        yield from self._decisions()

    def _usage(self) -> Iterator[Metric]:
        hours = CounterMetricFamily(
            "llmendpoint_gpu_hours", "GPU-hours of the engine's pods on nodes, kept over restarts.", labels=LABELS
        )
        cost = CounterMetricFamily("llmendpoint_cost", "Their cost at the price per GPU-hour.", labels=LABELS)
        for key, account in self.accounts.items():
            hours.add_metric(key, account.held.gpu_hours)
            if account.held.cost is not None:
                cost.add_metric(key, account.held.cost)
        yield from (hours, cost)

    def _trials(self) -> Iterator[Metric]:
        hours = CounterMetricFamily(
            "llmendpoint_dry_run_gpu_hours", "GPU-hours that mode DryRun would have used.", labels=LABELS
        )
        cost = CounterMetricFamily("llmendpoint_dry_run_cost", "Cost that mode DryRun would have had.", labels=LABELS)
        for key, account in self.accounts.items():
            if account.trial is None:
                continue
            hours.add_metric(key, account.trial.would.gpu_hours)
            if account.trial.would.cost is not None:
                cost.add_metric(key, account.trial.would.cost)
        yield from (hours, cost)

    def _decisions(self) -> Iterator[Metric]:
        demand = GaugeMetricFamily(
            "llmendpoint_demand_replicas", "Replicas that the policy asks for, before any rule.", labels=LABELS
        )
        desired = GaugeMetricFamily("llmendpoint_desired_replicas", "Replicas that the scaler wants.", labels=LABELS)
        hold = GaugeMetricFamily(
            "llmendpoint_decision_hold",
            "1 while a rule keeps the scaler from what the policy asks for; reason is the rule.",
            labels=(*LABELS, "reason"),
        )
        for key, decision in self.decisions.items():
            demand.add_metric(key, decision.raw)
            desired.add_metric(key, decision.desired)
            if decision.held_by:
                hold.add_metric((*key, decision.held_by), 1)
        yield from (demand, desired, hold)

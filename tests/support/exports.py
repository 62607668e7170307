"""An exporter in which every metric has a value: two endpoints, one well and one in trouble."""

import asyncio

from llmendpoint.api.status import Condition
from llmendpoint.metrics.endpoint_series import Look
from llmendpoint.metrics.exporter import Exporter
from llmendpoint.reconcile.usage import Account, Meter, Trial
from llmendpoint.runtime.queue import WorkQueue
from llmendpoint.scaling.decision import Outcome, Replicas
from llmendpoint.scaling.job_queue import Backlog, JobQueue
from llmendpoint.scaling.signals import Signals
from support.builders import NOW, decision, scaling

WELL = ("team", "llama")
TROUBLED = ("team", "mixtral")
LATE = JobQueue(per_replica=32, longest_wait=300, backlog=Backlog(70, 30, 420.0))


async def filled_exporter() -> Exporter:
    """Fill an exporter as the operator does."""
    exporter = Exporter()
    queue: WorkQueue[str] = WorkQueue(waited=exporter.queue_seconds.observe)
    exporter.watch(queue)
    exporter.leader.set(1)
    exporter.workers.set(16)
    exporter.tick_period.set(10.0)
    for key in ("a", "b"):
        queue.add(key)
    await asyncio.wait_for(queue.get(), 5.0)
    work(exporter)
    _fill_endpoints(exporter)
    return exporter


def work(exporter: Exporter) -> None:
    """What moves counters and histograms, once."""
    exporter.reconciles.labels("ok").inc()
    exporter.reconcile_seconds.observe(0.02)
    exporter.queue_seconds.observe(0.01)
    exporter.answered("GET", "200", 0.004)
    exporter.answered("PATCH", "<error>", 20.0)
    exporter.writes.labels("apply", "Deployment").inc()
    exporter.resynced()
    exporter.ticked(0.2, 10.0)
    exporter.scrapes.labels("ok").inc(3)
    exporter.scrapes.labels("timeout").inc()
    exporter.endpoints.changes[WELL]["out"] += 1


def _fill_endpoints(exporter: Exporter) -> None:
    series = exporter.endpoints
    series.looks[WELL] = Look(
        NOW, Replicas(ready=2, starting=1), Signals(known=2, unknown=0, running=30, waiting=4),
        scaling(minReplicas=1, maxReplicas=6), oldest_start=40.0, cold_starts=(90.0, 110.0),
    )  # fmt: skip
    series.decisions[WELL] = decision(NOW, 3, current=2, reason=Outcome.SCALE_OUT)
    series.accounts[WELL] = Account(NOW, NOW, Meter(3, 9000.0, 5.0), Trial(NOW, would=Meter(2, 7200.0, 4.0)))
    series.conditions[WELL] = [_condition("Ready", "True", "AllReplicasReady")]
    series.looks[TROUBLED] = Look(
        NOW, Replicas(ready=1, unschedulable=1, draining=1), Signals(known=0, unknown=1, jobs=LATE),
        scaling(minReplicas=1, maxReplicas=2), oldest_start=400.0, cold_starts=(90.0,),
    )  # fmt: skip
    series.decisions[TROUBLED] = decision(NOW, 2, raw=5, held_by="Bounds")
    series.accounts[TROUBLED] = Account(NOW, NOW, Meter(1, 3600.0))
    series.conditions[TROUBLED] = [
        _condition("Ready", "False", "Unschedulable"),
        _condition("MetricsAvailable", "False", "MetricsUnknown"),
    ]


def _condition(kind: str, status: str, reason: str) -> Condition:
    return Condition(
        type=kind, status=status, reason=reason, message="as the test says", last_transition_time="2025-06-15T15:00:00Z"
    )

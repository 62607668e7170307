"""Whether jobs are taken and worked on, and what the condition QueueAvailable says."""

from llmendpoint.api import names
from llmendpoint.api.conditions import Reason
from llmendpoint.manifests.service import queue_url
from llmendpoint.reconcile.observation import Observation
from llmendpoint.reconcile.trouble import Trouble
from llmendpoint.scaling.job_queue import JobQueue

PARTS = {
    names.COMPONENT_REDIS: "no Redis is ready, so that jobs can not be kept",
    names.COMPONENT_QUEUE: "no pod of the API for jobs is ready",
    names.COMPONENT_WORKER: "no worker is ready, so that jobs wait",
}


def queue_trouble(seen: Observation) -> Trouble | None:
    """What keeps jobs from being taken or worked on; None without spec.async."""
    wanted = seen.endpoint.spec.async_
    if wanted is None:
        return None
    for component, what in PARTS.items():
        deployment = seen.workload_of(component)
        is_wanted = component != names.COMPONENT_REDIS or wanted.redis is None
        if is_wanted and not ((deployment or {}).get("status") or {}).get("readyReplicas"):
            return Trouble(
                Reason.QUEUE_NOT_READY,
                f"{what}: see its pods, kubectl get pods -l {names.LABEL_ENDPOINT}={seen.endpoint.name},"
                f"{names.LABEL_COMPONENT}={component}",
            )
    return None


def queue_condition(seen: Observation, jobs: JobQueue | None) -> tuple[str, str, str]:
    """Status, reason and message of QueueAvailable, for an endpoint with spec.async.

    Args:
        jobs: what the last tick knew; None before the first one.
    """
    if trouble := queue_trouble(seen):
        return "False", trouble.reason, trouble.message
    if jobs is None:
        return "Unknown", Reason.NOT_READ_YET, "the backlog is read at the next tick"
    if jobs.backlog is None:
        return (
            "False",
            Reason.BACKLOG_UNKNOWN,
            "no scale-in until it is known how many jobs wait: see that the operator may reach port control (9901) of "
            f"the pods of {seen.endpoint.name}-queue, and they Redis",
        )
    if seen.endpoint.spec.async_ and seen.endpoint.spec.async_.redis is None:
        return (
            "True",
            Reason.BACKLOG_VOLATILE,
            f"jobs are kept in {seen.endpoint.name}-redis, a Redis for development that loses them with its pod: name "
            "one that keeps them in async.redis.urlSecretRef",
        )
    return "True", Reason.BACKLOG_READ, f"jobs are taken at {queue_url(seen.endpoint)}"

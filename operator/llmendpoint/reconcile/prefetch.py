"""Whether the model is on the cache volume, what waits for it, and what is told of the fetch."""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from llmendpoint.api import names
from llmendpoint.api.conditions import Reason
from llmendpoint.api.status import ModelCacheStatus
from llmendpoint.engines.facts import model_argument
from llmendpoint.manifests.prefetch import PREFETCH_CONTAINER, downloads, prefetch_name
from llmendpoint.reconcile.fetch_progress import FetchProgress, amount, parse_progress
from llmendpoint.reconcile.observation import (
    ChildKey,
    Manifest,
    Observation,
    condition,
    ending,
    is_finished,
    is_owned,
    view_of,
)
from llmendpoint.reconcile.trouble import Trouble, pod_trouble
from llmendpoint.scaling.record import epoch


def fetch_job(seen: Observation) -> Manifest | None:
    """The Job that fetches what the spec asks for now."""
    return seen.children.get(("Job", prefetch_name(seen.endpoint)))


def is_filled(seen: Observation) -> bool:
    """Whether all that is to be fetched is on the volume."""
    job = fetch_job(seen)
    return job is not None and not _is_stale(seen, job) and _ended(job, "Complete") is not None


def waits_for_model(seen: Observation) -> bool:
    """Whether engines of the spec's revision must not start yet. Those that run and load from the same path go on."""
    if not downloads(seen.endpoint) or is_filled(seen):
        return False
    workload = seen.workload_of(names.COMPONENT_ENGINE)
    return workload is None or _path_of(workload) != model_argument(seen.endpoint.spec)


def paths_in_use(seen: Observation) -> frozenset[str]:
    """Paths of the volume from which replicas load, or are about to."""
    workloads = (seen.workload_of(names.COMPONENT_ENGINE), seen.predecessor)
    bodies = (*workloads, *(pod.body for pod in (*seen.engine_pods, *seen.worker_pods)))
    return frozenset(path for body in bodies if body and (path := _path_of(body)))


def stale_jobs(seen: Observation) -> Iterator[ChildKey]:
    """Jobs that filled a volume which is gone, or for an endpoint that is: they say of this one what is not so."""
    for key, body in seen.children.items():
        if key[0] == "Job" and _is_stale(seen, body):
            yield key


def fetch_before(seen: Observation) -> str | None:
    """What is left of another fetch, and has to go before a Job is made.

    Two at the same time would write the same files, and each removes what it does not know to be in use. A Job that is
    complete and stays would be believed when the spec comes back to it, after the next one has removed what it fetched.
    """
    wanted = prefetch_name(seen.endpoint)
    jobs = (f"Job {name}" for kind, name in seen.children if kind == "Job" and name != wanted)
    pods = (f"pod {pod['metadata']['name']}" for pod in seen.fetches if not is_finished(pod))
    return next(chain(pods, jobs), None)


def fetch_trouble(seen: Observation, progress: FetchProgress | None) -> Trouble | None:
    """Why the model is not there, for Ready; None where no replica waits for it."""
    if not waits_for_model(seen):
        return None
    _, reason, message = fetch_condition(seen, progress)
    return Trouble(Reason(reason), message)


def fetch_condition(seen: Observation, progress: FetchProgress | None) -> tuple[str, str, str]:
    """Status, reason and message of ModelCached."""
    source, job = seen.endpoint.spec.model.source, fetch_job(seen)
    if job is None or _is_stale(seen, job):
        before = fetch_before(seen)
        what = f"it waits until {before} of another fetch is gone" if before else "its Job is being created"
        return "False", Reason.FETCHING_MODEL, f"Fetching {source}: {what}"
    name, pods = job["metadata"]["name"], _pods_of(seen, job)
    if is_filled(seen):
        known = _figures(seen, job, None)
        size = f" ({amount(known.bytes_total)})" if known and known.bytes_total else ""
        return "True", Reason.MODEL_FETCHED, f"{source}{size} is at {model_argument(seen.endpoint.spec)} of the cache"
    last_words = next((said for pod in reversed(pods) if (said := _last_words(pod))), "")
    if failed := _ended(job, "Failed"):
        why = last_words or failed.get("message") or failed.get("reason") or "no cause is known"
        again = f"then kubectl delete job {name}, and it is tried again; a changed spec is tried by itself"
        return "False", Reason.FETCH_FAILED, f"{source} was not fetched: {why}; {again}"
    running = [pod for pod in pods if not is_finished(pod)]
    if trouble := pod_trouble(seen.endpoint.spec, map(view_of, running)):
        return "False", trouble.reason, trouble.message
    is_running = any((pod.get("status") or {}).get("phase") == "Running" for pod in running)
    if last_words and not is_running:
        return "False", Reason.FETCH_RETRIED, f"{source}: {last_words}; Job {name} tries again and goes on from there"
    known = _figures(seen, job, progress)
    how_far = known.sentence if known else "it has begun"
    if not is_running:
        # A quota, admission or a volume that another node has are told of in events alone.
        what = f"pod {running[-1]['metadata']['name']}" if running else f"job {name}"
        how_far = f"{what} {'starts' if running else 'has no pod yet'}; if that lasts, kubectl describe {what} says why"
    return "False", Reason.FETCHING_MODEL, f"Fetching {source}: {how_far}"


def cache_status(seen: Observation, progress: FetchProgress | None) -> ModelCacheStatus | None:
    """status.modelCache; None where nothing is to be fetched."""
    job = fetch_job(seen)
    if not downloads(seen.endpoint) or job is None:
        return None
    known = _figures(seen, job, progress)
    is_running = any((pod.get("status") or {}).get("phase") == "Running" for pod in _pods_of(seen, job))
    state: Any = "Cached" if is_filled(seen) else "Failed" if _ended(job, "Failed") else None
    return ModelCacheStatus(
        state=state or ("Fetching" if is_running else "Pending"),
        job=job["metadata"]["name"],
        bytes_done=known.bytes_done if known else None,
        bytes_total=known.bytes_total if known else None,
        files_done=known.files_done if known else None,
        files_total=known.files_total if known else None,
    )


def _figures(seen: Observation, job: Manifest, progress: FetchProgress | None) -> FetchProgress | None:
    """What the pod says now, else what it said last, else what status says of this Job."""
    said = [parse_progress(_last_words(pod)) for pod in _pods_of(seen, job)]
    if found := next((one for one in reversed(said) if one), progress):
        return found
    known = seen.endpoint.status.model_cache
    if known is None or known.job != job["metadata"]["name"] or known.bytes_done is None:
        return None
    return FetchProgress(known.bytes_done, known.bytes_total, known.files_done, known.files_total)


def _pods_of(seen: Observation, job: Manifest) -> list[Manifest]:
    return [pod for pod in seen.fetches if is_owned(pod, job["metadata"]["uid"])]


def _last_words(pod: Manifest) -> str:
    """What a fetch said when it ended, or what the kubelet says of its end."""
    ended = ending(pod, PREFETCH_CONTAINER)
    if ended.get("reason") == "OOMKilled":
        return "the fetch was killed for using more memory than its limit"
    return str(ended.get("message") or "").strip().rpartition("\n")[2]


def _is_stale(seen: Observation, job: Manifest) -> bool:
    if not is_owned(job, seen.endpoint.uid):
        return True
    claim = seen.children.get(("PersistentVolumeClaim", f"{seen.endpoint.name}-cache"))
    if claim is None:
        return False
    made, filled = (epoch(body["metadata"]["creationTimestamp"]) for body in (claim, job))
    return made > filled


def _ended(job: Manifest, how: str) -> Manifest | None:
    found = condition(job, how)
    return found if found and found["status"] == "True" else None


def _path_of(body: Mapping[str, Any]) -> str | None:
    found: str | None = ((body.get("metadata") or {}).get("annotations") or {}).get(names.ANNOTATION_MODEL)
    return found

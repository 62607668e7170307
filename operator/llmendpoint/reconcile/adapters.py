"""LoRA adapters: what loaders are to be told, what they say, and what status makes of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from llmendpoint.api import names
from llmendpoint.api.adapters import Adapter
from llmendpoint.api.conditions import Reason
from llmendpoint.api.status import AdapterStatus
from llmendpoint.engines import engine_for
from llmendpoint.manifests.adapters import ADAPTERS_CONTAINER, adapter_list, loads_adapters
from llmendpoint.manifests.common import ManifestDefaults, hashed
from llmendpoint.manifests.workload import engine_workload, replica_pods
from llmendpoint.reconcile.observation import Observation, PodView, container_status
from llmendpoint.reconcile.trouble import PULL_FAILURES
from llmendpoint.scaling.signals import PodPhase

State = Literal["Loaded", "Loading", "Failed", "Unloading"]
LONGEST_MESSAGE = 500
# Of a spec's adapters, whatever else a loader says.
LONGEST_NAME, LONGEST_SOURCE = 128, 1024
MOST_LEAVING = 64
NAMED = 3
REPLACED = "replicas are replaced, each with the new list"
NOT_READY = "no replica is ready; each loads the adapters before it is"


@dataclass(frozen=True)
class AdapterReport:
    """What the loader of one replica says of one adapter."""

    name: str
    source: str
    revision: str | None
    state: State
    message: str


Reports = Mapping[str, tuple[AdapterReport, ...]]
"""By pod; one whose loader has not answered is not there."""


def parse_report(answer: Any) -> tuple[AdapterReport, ...]:
    """A loader's answer.

    Raises:
        ValueError, LookupError, TypeError: it makes no sense.
    """
    return tuple(_parsed(entry) for entry in answer["adapters"])


def _parsed(entry: Any) -> AdapterReport:
    if entry["state"] not in get_args(State):
        raise ValueError(f"unknown state {entry['state']!r}")
    revision = entry.get("revision")
    return AdapterReport(
        _text(entry["name"], LONGEST_NAME),
        _text(entry["source"], LONGEST_SOURCE),
        None if revision is None else str(revision),
        entry["state"],
        _text(entry.get("message") or "", LONGEST_MESSAGE),
    )


def _text(said: Any, longest: int) -> str:
    text = str(said)[:longest]
    text.encode()  # half a character, which JSON may have, is none that a status can hold
    return text


def loader_image(seen: Observation, defaults: ManifestDefaults) -> str:
    """Image of the loaders: the one that replicas have, as long as nothing else about them is to be changed.

    Each version of the operator brings another one, and an upgrade is to replace no replica.
    """
    workload, newest = seen.workload_of(names.COMPONENT_ENGINE), defaults.fetch_image
    if workload is None or not loads_adapters(seen.endpoint.spec) or not seen.engine_pods:
        return newest
    if any(_is_refused(pod) for pod in seen.engine_pods):
        return newest
    leader, _ = next(replica_pods(workload))
    has: str = next((one["image"] for one in leader["containers"] if one["name"] == ADAPTERS_CONTAINER), newest)
    if has == newest:
        return newest
    unchanged = hashed(engine_workload(seen.endpoint, replace(defaults, fetch_image=has)))["metadata"]["annotations"]
    is_unchanged = unchanged.items() <= (workload["metadata"].get("annotations") or {}).items()
    return has if is_unchanged else newest


def _is_refused(pod: PodView) -> bool:
    """Whether the image of its loader can not be pulled."""
    waiting = ((container_status(pod.body, ADAPTERS_CONTAINER) or {}).get("state") or {}).get("waiting") or {}
    return waiting.get("reason") in PULL_FAILURES


def untold(seen: Observation) -> Mapping[str, str]:
    """Pods whose loader has to be told another list, and the list."""
    if not loads_adapters(seen.endpoint.spec):
        return {}
    wanted = adapter_list(seen.endpoint.spec)
    return {
        pod.name: wanted
        for pod in seen.engine_pods
        if pod.phase is not PodPhase.DRAINING
        and any(container["name"] == ADAPTERS_CONTAINER for container in pod.body["spec"].get("containers", ()))
        and (pod.body["metadata"].get("annotations") or {}).get(names.ANNOTATION_ADAPTERS) != wanted
    }


def adapter_statuses(seen: Observation, reports: Reports, *, rolls: bool) -> list[AdapterStatus] | None:
    """status.adapters; None where the spec has none.

    Args:
        rolls: whether replicas of an older revision are there.
    """
    spec = seen.endpoint.spec
    if spec.model.adapters is None:
        return None
    facts = engine_for(spec.engine.type).adapters
    is_live = facts.api is not None
    ready = _ready(seen)
    heard = {pod.name: reports[pod.name] for pod in ready if pod.name in reports}
    known = {entry.name: entry for entry in seen.endpoint.status.adapters or ()}
    found: list[AdapterStatus] = []
    state: State
    for adapter in spec.model.adapters:
        before = known.get(adapter.name)
        if not ready:
            state, message, count = "Loading", NOT_READY, 0
        elif not is_live:
            state, message = ("Loading", REPLACED) if rolls else ("Loaded", "")
            count = 0 if rolls else len(ready)
        elif not heard and before and before.source == adapter.source:
            found.append(before)  # the operator has just started: what the last one heard holds until it hears itself
            continue
        else:
            # A replica that comes later loads it before it is ready, and its answer is on its way.
            was_loaded = before and (before.source, before.state) == (adapter.source, "Loaded")
            state, message = _judged(adapter, heard, silent=0 if was_loaded else len(ready) - len(heard), rolls=rolls)
            count = sum(one.state == "Loaded" for one in _of(adapter, heard))
        found.append(
            AdapterStatus(
                name=adapter.name,
                source=adapter.source,
                model=facts.model(spec, adapter),
                state=state,
                ready_replicas=count,
                message=message or None,
            )
        )
    return [*found, *_leaving(seen, heard)]


def adapters_condition(seen: Observation, statuses: list[AdapterStatus]) -> tuple[str, str, str]:
    """Status, reason and message of AdaptersReady."""
    if failed := [entry for entry in statuses if entry.state == "Failed"]:
        whys = "; ".join(f"{entry.name}: {entry.message}" for entry in failed[:NAMED])
        more = f"; and {len(failed) - NAMED} more" if len(failed) > NAMED else ""
        return "False", Reason.ADAPTER_FAILED, f"the model and all other adapters are served. {whys}{more}"
    if not _ready(seen):
        return "Unknown", Reason.NO_READY_REPLICAS, NOT_READY
    if pending := [entry for entry in statuses if entry.state != "Loaded"]:
        whys = "; ".join(f"{entry.name}: {entry.message}" for entry in pending[:NAMED])
        more = f"; and {len(pending) - NAMED} more" if len(pending) > NAMED else ""
        return "False", Reason.ADAPTERS_LOADING, f"{whys}{more}"
    return "True", Reason.ADAPTERS_LOADED, f"{len(statuses)} adapters are served by every ready replica"


def _ready(seen: Observation) -> list[PodView]:
    return [pod for pod in seen.engine_pods if pod.phase is PodPhase.READY]


def _of(adapter: Adapter, heard: Reports) -> list[AdapterReport]:
    """What is said of an adapter as it is in the spec now."""
    return [
        one
        for reports in heard.values()
        for one in reports
        if (one.name, one.source, one.revision) == (adapter.name, adapter.source, adapter.revision)
    ]


def _judged(adapter: Adapter, heard: Reports, *, silent: int, rolls: bool) -> tuple[State, str]:
    said = _of(adapter, heard)
    failed = [one for one in said if one.state == "Failed"]
    # One from a claim that replicas of the old revision do not have is none that failed.
    if failed and not rolls:
        return "Failed", failed[0].message
    if len(said) < len(heard) or any(one.state != "Loaded" for one in said):
        waits = next((one.message for one in said if one.state != "Loaded" and one.message), "the loaders are told")
        return "Loading", waits
    if silent:
        return "Loading", f"no loader of {silent} ready replicas has answered the operator (port control of the pod)"
    return "Loaded", ""


def _leaving(seen: Observation, heard: Reports) -> Iterator[AdapterStatus]:
    """Adapters that are in the spec no more and in an engine still."""
    spec = seen.endpoint.spec
    facts, wanted = engine_for(spec.engine.type).adapters, {adapter.name for adapter in spec.model.adapters or ()}
    gone: dict[str, AdapterReport] = {}
    for reports in heard.values():
        gone |= {one.name: one for one in reports if one.name not in wanted}
    for name, report in sorted(gone.items())[:MOST_LEAVING]:
        yield AdapterStatus(
            name=name,
            source=report.source,
            # As it is: who loads one by the engine's own API may give it a name that no spec may.
            model=facts.model(spec, Adapter.model_construct(name=name, source=report.source)),
            state="Unloading",
            ready_replicas=sum(one.name == name for reports in heard.values() for one in reports),
            message=report.message or "requests that it has are finished",
        )

"""What a user's pod template must leave in the engine's pod: probes, metrics, Services and draining rest on it."""

from collections.abc import Iterator, Mapping
from typing import Any

from llmendpoint.api.endpoint import Endpoint
from llmendpoint.api.reserved import RESERVED_ENV
from llmendpoint.manifests.common import Manifest, ManifestDefaults
from llmendpoint.manifests.engine import ENGINE_CONTAINER, engine_template
from llmendpoint.manifests.pod_template import strategic_merge
from llmendpoint.manifests.untyped import by_name, entries, mapping

PROBES = ("startupProbe", "readinessProbe")


def contract_problems(endpoint: Endpoint) -> list[str]:
    """What the endpoint's pod template breaks, each with what to do. The template must be one that can be merged."""
    ours = engine_template(endpoint, ManifestDefaults())
    merged = strategic_merge(ours, endpoint.spec.engine.pod_template or {})
    pod = mapping(merged.get("spec"))
    theirs = by_name(pod.get("containers"))
    found = list(_broken_pod(endpoint, pod))
    for container in ours["spec"]["containers"]:
        name = container["name"]
        found += _broken_container(container, theirs[name]) if name in theirs else [f"must keep container {name}"]
    if ENGINE_CONTAINER in theirs:
        found += _broken_command(endpoint, ours["spec"]["containers"][0], theirs[ENGINE_CONTAINER])
    return [f"engine.podTemplate {sentence}" for sentence in found]


def _broken_pod(endpoint: Endpoint, pod: Mapping[str, Any]) -> Iterator[str]:
    engine = endpoint.spec.engine
    least = engine.pre_stop_seconds + engine.drain_seconds
    if not _at_least(pod.get("terminationGracePeriodSeconds"), least):
        yield (
            f"must leave spec.terminationGracePeriodSeconds at {least} or more, which is engine.preStopSeconds and "
            "engine.drainSeconds: to stop sooner lower those"
        )
    if pod.get("enableServiceLinks") is not False:
        yield "must leave spec.enableServiceLinks false: a Service named vllm would set the engine's VLLM_PORT"
    if not isinstance(pod.get("initContainers", []), list):
        yield "must have a list at spec.initContainers"


def _broken_container(ours: Manifest, theirs: Mapping[str, Any]) -> Iterator[str]:
    name = ours["name"]
    for port in ours["ports"]:
        if not any(port.items() <= entry.items() for entry in entries(theirs.get("ports"))):
            yield f"must keep port {port['name']} ({port['containerPort']}) of container {name} for its Service"
    for probe in PROBES:
        if probe in ours and not theirs.get(probe):
            yield f"must keep {probe} of container {name}; its times may change"
    if "lifecycle" not in ours:
        return
    least = ours["lifecycle"]["preStop"]["sleep"]["seconds"]
    hook = mapping(mapping(theirs.get("lifecycle")).get("preStop"))
    if not _at_least(mapping(hook.get("sleep")).get("seconds"), least):
        yield (
            f"must keep lifecycle.preStop.sleep of container {name} at {least} s or more, in which the cluster stops "
            "sending to it: set engine.preStopSeconds instead"
        )


def _broken_command(endpoint: Endpoint, ours: Manifest, theirs: Mapping[str, Any]) -> Iterator[str]:
    for field in ("command", "args"):
        if theirs.get(field) != ours[field]:
            yield f"must not change {field} of container {ENGINE_CONTAINER}: use engine.args"
    before, after = by_name(ours["env"]), by_name(theirs.get("env"))
    for name in RESERVED_ENV[endpoint.spec.engine.type]:
        if before.get(name) != after.get(name):
            yield f"must not change {name} of container {ENGINE_CONTAINER}: it is an option that is the operator's"


def _at_least(value: Any, least: int) -> bool:
    return isinstance(value, int) and value >= least

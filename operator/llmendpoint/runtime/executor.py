"""Carries out plans: every write to the API server but events."""

import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from typing import Any

import structlog

from llmendpoint.api import names
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.api.status import EndpointStatus
from llmendpoint.cluster.client import Cluster
from llmendpoint.cluster.errors import ClusterError, Conflict, NotFound, NotOwned, Throttled, Unreachable
from llmendpoint.cluster.events import Recorder
from llmendpoint.cluster.kinds import ENDPOINT, POD, kind_of
from llmendpoint.manifests.workload import WORKLOADS
from llmendpoint.metrics.exporter import Exporter
from llmendpoint.reconcile.drift import agrees
from llmendpoint.reconcile.observation import ChildKey, Observation, PodView, is_ours
from llmendpoint.reconcile.plan import NEVER_READY_GRACE_SECONDS, Plan, Scale, fingerprint
from llmendpoint.reconcile.replicas import wanted_replicas
from llmendpoint.runtime.memory import Memory
from llmendpoint.runtime.store import Key, Store

log = structlog.get_logger(__name__)

Step = Callable[[], Awaitable[None]]


class Executor:
    """Writes what plans and statuses say. Every step is safely repeated by the next reconcile."""

    def __init__(self, *, cluster: Cluster, store: Store, recorder: Recorder, exporter: Exporter) -> None:
        self._cluster = cluster
        self._store = store
        self._recorder = recorder
        self._exporter = exporter

    async def carry_out(self, plan: Plan, seen: Observation, memory: Memory, body: Mapping[str, Any]) -> None:
        """Write what the plan says. A child that is refused holds up no other step, the replica count above all.

        Raises:
            ClusterError: the first step that failed; where the API server does not answer, the only one.
        """
        failures = []
        for step in self._steps(plan, seen, memory, body):
            try:
                await step()
            except (Unreachable, Throttled):
                raise
            except ClusterError as error:
                failures.append(error)
        if failures:
            raise failures[0]

    async def write_status(self, endpoint: Endpoint, status: EndpointStatus) -> None:
        """Write a whole status.

        Raises:
            ClusterError: it was not written.
        """
        stored = await self._cluster.set_status(
            ENDPOINT, endpoint.namespace, endpoint.name, endpoint.uid, status.to_wire(), manager=names.MANAGER_STATUS
        )
        self._exporter.writes.labels("patch-status", names.KIND).inc()
        self._store.put(stored)

    def _steps(self, plan: Plan, seen: Observation, memory: Memory, body: Mapping[str, Any]) -> Iterator[Step]:
        if plan.spec_replicas != "keep":
            yield partial(self._set_spec_replicas, seen.endpoint, plan.spec_replicas)
        for manifest in plan.applies:
            yield partial(self._apply_child, manifest, seen, memory)
        for pod, cost in plan.costs.items():
            annotation = {names.ANNOTATION_DELETION_COST: str(cost)}
            yield partial(self._annotate, seen.endpoint.namespace, pod, annotation, names.MANAGER_SCALER)
        for pod, adapters in plan.adapters.items():
            annotation = {names.ANNOTATION_ADAPTERS: adapters}
            yield partial(self._annotate, seen.endpoint.namespace, pod, annotation, names.MANAGER_CHILDREN)
        if plan.scale:
            yield partial(self._scale, plan.scale, seen, memory, body)
        for child in plan.deletes:
            yield partial(self._delete, seen.endpoint.namespace, child)
        for pod_view in plan.evictions:
            yield partial(self._evict, seen.endpoint.namespace, pod_view)

    async def _set_spec_replicas(self, endpoint: Endpoint, replicas: int | None) -> None:
        patch = {"spec": {"replicas": replicas}}
        manager = names.MANAGER_SCALER
        await self._cluster.merge_patch(ENDPOINT, endpoint.namespace, endpoint.name, patch, manager=manager)
        self._exporter.writes.labels("patch", names.KIND).inc()

    async def _apply_child(self, manifest: Mapping[str, Any], seen: Observation, memory: Memory) -> None:
        child = (manifest["kind"], manifest["metadata"]["name"])
        if child not in seen.children:
            await self._check_name(child, seen.endpoint)
        stored = await self._cluster.apply(manifest, manager=names.MANAGER_CHILDREN)
        self._exporter.writes.labels("apply", manifest["kind"]).inc()
        self._store.put(stored)
        if not agrees(manifest, stored):
            memory.accepted[child] = fingerprint(stored)
        if manifest["kind"] in WORKLOADS:
            memory.revised[child[1]] = stored["metadata"]["generation"]
        log.info(
            "applied",
            namespace=seen.endpoint.namespace,
            endpoint=seen.endpoint.name,
            kind=child[0],
            child=child[1],
        )

    async def _check_name(self, child: ChildKey, endpoint: Endpoint) -> None:
        """An apply by force would take over whatever has the name, and delete it with the endpoint.

        Raises:
            NotOwned: somebody else's object has it.
        """
        kind, name = child
        there = await self._cluster.get(kind_of(kind), endpoint.namespace, name)
        if there is not None and not is_ours(there, endpoint):
            raise NotOwned(
                f"{kind} {name} exists and does not belong to this endpoint: delete or rename it, or give the "
                "endpoint another name"
            )

    async def _annotate(self, namespace: str, pod: str, annotation: Mapping[str, str], manager: str) -> None:
        patch = {"metadata": {"annotations": annotation}}
        with contextlib.suppress(NotFound):
            await self._cluster.merge_patch(POD, namespace, pod, patch, manager=manager)
        self._exporter.writes.labels("patch", "Pod").inc()

    async def _scale(self, scale: Scale, seen: Observation, memory: Memory, body: Mapping[str, Any]) -> None:
        """Write the replica count, unless the scaler has decided anew since: the next reconcile is due then.

        The scaler's memory goes ahead of it: an operator that dies between the two finds its own intent, not a
        count that it can not explain.
        """
        endpoint = seen.endpoint
        wanted, _ = wanted_replicas(seen, memory.state.desired)
        if wanted != scale.replicas:
            return
        children = self._store.children(Key(endpoint.namespace, endpoint.name))
        if not any((child["kind"], child["metadata"]["name"]) == scale.workload for child in children):
            return  # it could not be created, and an apply of a count alone would be refused
        intent = memory.scaling_status
        if intent is not None and intent != endpoint.status.scaling:
            await self.write_status(endpoint, endpoint.status.model_copy(update={"scaling": intent}))
        kind, name = scale.workload
        manifest = {
            "apiVersion": kind_of(kind).api_version,
            "kind": kind,
            "metadata": {"name": name, "namespace": endpoint.namespace},
            "spec": {"replicas": scale.replicas},
        }
        self._store.put(await self._cluster.apply(manifest, manager=names.MANAGER_SCALER))
        self._exporter.writes.labels("apply", kind).inc()
        if scale.current is not None:
            self._tell_of_scale(scale, scale.current, seen, memory, body)

    def _tell_of_scale(
        self, scale: Scale, current: int, seen: Observation, memory: Memory, body: Mapping[str, Any]
    ) -> None:
        endpoint, decision = seen.endpoint, memory.decision
        direction = "out" if scale.replicas > current else "in"
        why = decision.sentence if decision and decision.desired == scale.replicas else "set by spec.replicas or bounds"
        self._exporter.endpoints.changes[endpoint.namespace, endpoint.name][direction] += 1
        log.info(
            "scaled",
            namespace=endpoint.namespace,
            endpoint=endpoint.name,
            sentence=why,
            **{"from": current, "to": scale.replicas},
        )
        note = f"{current} -> {scale.replicas}: {why}"
        self._recorder.record(body, f"Scaled{direction.capitalize()}", note, action="Scale")

    async def _delete(self, namespace: str, child: ChildKey) -> None:
        kind, name = child
        await self._cluster.delete(kind_of(kind), namespace, name)
        self._exporter.writes.labels("delete", kind).inc()

    async def _evict(self, namespace: str, pod: PodView) -> None:
        """Shorten the grace of a terminating pod."""
        with contextlib.suppress(Conflict):  # another pod has that name by now
            await self._cluster.delete(POD, namespace, pod.name, uid=pod.uid, grace_seconds=NEVER_READY_GRACE_SECONDS)
        self._exporter.writes.labels("delete", "Pod").inc()

"""One reconcile: observe, plan, apply, report."""

import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from pydantic import ValidationError

from llmendpoint import manifests
from llmendpoint.api import names
from llmendpoint.api.conditions import ConditionType, Reason
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.api.status import EndpointStatus
from llmendpoint.cluster.client import Cluster
from llmendpoint.cluster.errors import ClusterError, Conflict, NotFound
from llmendpoint.cluster.events import Recorder
from llmendpoint.cluster.kinds import ENDPOINT, POD, kind_of
from llmendpoint.metrics.exporter import Exporter
from llmendpoint.reconcile.drift import agrees
from llmendpoint.reconcile.observation import Observation, observe
from llmendpoint.reconcile.plan import NEVER_READY_GRACE_SECONDS, Plan, fingerprint, make_plan
from llmendpoint.reconcile.replicas import wanted_replicas
from llmendpoint.reconcile.status import Outcome, make_status, same
from llmendpoint.runtime.memory import Memories, Memory
from llmendpoint.runtime.store import Key, Store
from llmendpoint.scaling.record import rfc3339
from llmendpoint.scaling.scaler import warnings

log = structlog.get_logger(__name__)


class Reconciler:
    """Makes the cluster say what an endpoint says, and the endpoint's status say what the cluster is like."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        store: Store,
        memories: Memories,
        recorder: Recorder,
        exporter: Exporter,
        defaults: manifests.ManifestDefaults,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._cluster = cluster
        self._store = store
        self._memories = memories
        self._recorder = recorder
        self._exporter = exporter
        self._defaults = defaults
        self._clock = clock

    async def reconcile(self, key: Key) -> None:
        """Reconcile one endpoint.

        Raises:
            ClusterError: something could not be written; status says so where it could be, and the caller retries.
        """
        body = self._store.endpoint(key)
        if body is None or "deletionTimestamp" in body["metadata"]:
            self._memories.forget(key)
            with contextlib.suppress(KeyError):
                self._exporter.forget(*key)
            return
        try:
            endpoint = Endpoint.from_object(body)
        except ValidationError as error:
            await self._refuse(body, error)
            return
        seen = self._observe(endpoint, key)
        memory = self._memories.of(key, seen, self._clock())
        problems = tuple(manifests.problems(endpoint))
        failure: ClusterError | None = None
        if not problems:
            plan = self._plan(seen, memory)
            try:
                await self._carry_out(plan, seen, memory, body)
            except ClusterError as error:
                failure = error
            seen = self._observe(endpoint, key)
        await self._report(seen, memory, body, problems, failure)
        if failure:
            raise failure

    def _observe(self, endpoint: Endpoint, key: Key) -> Observation:
        return observe(endpoint, self._store.children(key), self._store.pods(key))

    def _plan(self, seen: Observation, memory: Memory) -> Plan:
        replicas, spec_replicas = wanted_replicas(seen, memory.state.desired)
        return make_plan(
            seen,
            desired=manifests.children(seen.endpoint, self._defaults),
            replicas=replicas,
            load=memory.load,
            accepted=memory.accepted,
            spec_replicas=spec_replicas,
        )

    async def _carry_out(self, plan: Plan, seen: Observation, memory: Memory, body: Mapping[str, Any]) -> None:
        """Write what the plan says. Every step is repeated safely by the next reconcile."""
        namespace = seen.endpoint.namespace
        if plan.spec_replicas != "keep":
            await self._cluster.merge_patch(
                ENDPOINT,
                namespace,
                seen.endpoint.name,
                {"spec": {"replicas": plan.spec_replicas}},
                manager=names.MANAGER_SCALER,
            )
            self._exporter.writes.labels("patch", names.KIND).inc()
        for manifest in plan.applies:
            await self._apply_child(manifest, seen, memory)
        for pod, cost in plan.costs.items():
            annotation = {"metadata": {"annotations": {names.ANNOTATION_DELETION_COST: str(cost)}}}
            with contextlib.suppress(NotFound):
                await self._cluster.merge_patch(POD, namespace, pod, annotation, manager=names.MANAGER_SCALER)
            self._exporter.writes.labels("patch", "Pod").inc()
        if plan.scale:
            await self._scale(plan, seen, memory, body)
        for kind, name in plan.deletes:
            await self._cluster.delete(kind_of(kind), namespace, name)
            self._exporter.writes.labels("delete", kind).inc()
        for gone in plan.evictions:
            with contextlib.suppress(Conflict):  # another pod has that name by now
                await self._cluster.delete(
                    POD, namespace, gone.name, uid=gone.uid, grace_seconds=NEVER_READY_GRACE_SECONDS
                )
            self._exporter.writes.labels("delete", "Pod").inc()

    async def _apply_child(self, manifest: Mapping[str, Any], seen: Observation, memory: Memory) -> None:
        child = (manifest["kind"], manifest["metadata"]["name"])
        stored = await self._cluster.apply(manifest, manager=names.MANAGER_CHILDREN)
        self._exporter.writes.labels("apply", manifest["kind"]).inc()
        self._store.put(stored)
        if not agrees(manifest, stored):
            memory.accepted[child] = fingerprint(stored)
        if manifest["kind"] == "Deployment":
            memory.revised[child[1]] = stored["metadata"]["generation"]
        log.info(
            "applied",
            namespace=seen.endpoint.namespace,
            endpoint=seen.endpoint.name,
            kind=child[0],
            child=child[1],
        )

    async def _scale(self, plan: Plan, seen: Observation, memory: Memory, body: Mapping[str, Any]) -> None:
        """Write the replica count.

        The scaler's memory goes ahead of it: an operator that dies between the two finds its own intent, not a
        count that it can not explain.
        """
        endpoint, scale = seen.endpoint, plan.scale
        if scale is None:
            return
        if memory.scaling is not None and memory.scaling != endpoint.status.scaling:
            intent = endpoint.status.model_copy(update={"scaling": memory.scaling})
            await self._write_status(endpoint, intent)
        manifest = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": scale.deployment, "namespace": endpoint.namespace},
            "spec": {"replicas": scale.replicas},
        }
        self._store.put(await self._cluster.apply(manifest, manager=names.MANAGER_SCALER))
        self._exporter.writes.labels("apply", "Deployment").inc()
        if scale.current is None:
            return
        direction = "out" if scale.replicas > scale.current else "in"
        decision = memory.decision
        why = decision.sentence if decision and decision.desired == scale.replicas else "set by spec.replicas or bounds"
        self._exporter.scale_changes.labels(endpoint.namespace, endpoint.name, direction).inc()
        log.info(
            "scaled",
            namespace=endpoint.namespace,
            endpoint=endpoint.name,
            before=scale.current,
            after=scale.replicas,
            why=why,
        )
        await self._recorder.record(
            body,
            f"Scaled{direction.capitalize()}",
            f"{scale.current} -> {scale.replicas}: {why}",
            action="Scale",
        )

    async def _report(
        self,
        seen: Observation,
        memory: Memory,
        body: Mapping[str, Any],
        problems: tuple[str, ...],
        failure: ClusterError | None,
    ) -> None:
        endpoint = seen.endpoint
        deployment = seen.engine_deployment
        outcome = Outcome(
            desired=deployment["spec"].get("replicas") if deployment else None,
            problems=problems,
            failure=str(failure) if failure else None,
            signals=memory.signals,
            stalled_pods=memory.stall.stalled(self._clock()),
            unread_pods=memory.unread,
            revised=memory.revised,
            unanswered_targets=memory.unanswered,
            scaling=memory.scaling if endpoint.spec.scaling else None,
            warnings=tuple(warnings(endpoint.spec.scaling, memory.state, memory.signals))
            if endpoint.spec.scaling
            else (),
            url="" if problems else manifests.service_url(endpoint),
            model="" if problems else manifests.served_model(endpoint.spec),
        )
        status = make_status(seen, outcome, now=rfc3339(self._clock()))
        self._exporter.ready.labels(endpoint.namespace, endpoint.name).set(status.ready_replicas)
        if same(status, endpoint.status):
            return
        with contextlib.suppress(NotFound):  # deleted a moment ago
            await self._write_status(endpoint, status)
        await self._tell(endpoint, status, body)

    async def _write_status(self, endpoint: Endpoint, status: EndpointStatus) -> None:
        manifest = {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "metadata": {"name": endpoint.name, "namespace": endpoint.namespace},
            "status": status.to_wire(),
        }
        stored = await self._cluster.apply(manifest, manager=names.MANAGER_STATUS, subresource="status")
        self._exporter.writes.labels("apply-status", names.KIND).inc()
        self._store.put(stored)

    async def _tell(self, endpoint: Endpoint, status: EndpointStatus, body: Mapping[str, Any]) -> None:
        """Events for a new reason of Ready and for a new hold."""
        before = {entry.type: entry.reason for entry in endpoint.status.conditions}
        ready = next(entry for entry in status.conditions if entry.type == ConditionType.READY)
        if before.get(ConditionType.READY) != ready.reason:
            usual = ready.status == "True" or ready.reason in {
                Reason.REPLICAS_STARTING,
                Reason.ROLLING_OUT,
                Reason.BUSINESS_NOT_READY,
            }
            await self._recorder.record(body, ready.reason, ready.message, kind="Normal" if usual else "Warning")
        decision = status.scaling.decision if status.scaling else None
        known = endpoint.status.scaling.decision if endpoint.status.scaling else None
        if decision and decision.held_by and (known is None or known.held_by != decision.held_by):
            await self._recorder.record(body, "ScalingHeld", decision.sentence, action="Scale")

    async def _refuse(self, body: Mapping[str, Any], error: ValidationError) -> None:
        """An object stored under an older CRD that this operator can not read: say so, touch nothing."""
        wrong = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        await self._recorder.record(
            body,
            Reason.INVALID_SPEC,
            f"the operator can not read this object, and left all as it is: {wrong}",
            kind="Warning",
        )

"""One reconcile: observe, plan, apply, report."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from llmendpoint import manifests
from llmendpoint.api.conditions import ConditionType, Reason
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.api.scaling import Mode
from llmendpoint.api.status import EndpointStatus
from llmendpoint.cluster.client import Cluster
from llmendpoint.cluster.errors import ClusterError, NotFound, NotOwned
from llmendpoint.cluster.events import Recorder
from llmendpoint.metrics.exporter import Exporter
from llmendpoint.reconcile.adapters import Reports, loader_image
from llmendpoint.reconcile.fetch_progress import FetchProgress
from llmendpoint.reconcile.gateway import leads_to_replicas
from llmendpoint.reconcile.observation import Observation, observe
from llmendpoint.reconcile.plan import Plan, make_plan
from llmendpoint.reconcile.prefetch import paths_in_use
from llmendpoint.reconcile.quota import replica_gpus
from llmendpoint.reconcile.replicas import replicas_of, wanted_replicas
from llmendpoint.reconcile.sleeping import is_asleep, may_hold, redirections
from llmendpoint.reconcile.status import Outcome, make_status, same
from llmendpoint.reconcile.trouble import Trouble
from llmendpoint.reconcile.usage import counted, is_news, record
from llmendpoint.runtime.clock import Clock
from llmendpoint.runtime.executor import Executor
from llmendpoint.runtime.memory import Memories, Memory
from llmendpoint.runtime.store import Key, Store
from llmendpoint.scaling.record import rfc3339, scaling_status, tells_of_hold
from llmendpoint.scaling.scaler import adopted, bounded, warnings

WARNINGS = frozenset(
    {Reason.BACKLOG_VOLATILE, Reason.BACKLOG_UNKNOWN, Reason.ROUTE_REFUSED, Reason.GATEWAY_KINDS_MISSING}
)


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
        adapters: Callable[[Key], Reports] = lambda _: {},
        gpu_hour_price: float | None = None,
        clock: Clock,
        fetched: Callable[[Key], FetchProgress | None] = lambda _: None,
    ) -> None:
        self._store = store
        self._fetched = fetched
        self._memories = memories
        self._recorder = recorder
        self._exporter = exporter
        self._defaults = defaults
        self._adapters = adapters
        self._gpu_hour_price = gpu_hour_price
        self._clock = clock
        self._executor = Executor(cluster=cluster, store=store, recorder=recorder, exporter=exporter)

    async def reconcile(self, key: Key) -> None:
        """Reconcile one endpoint.

        Raises:
            ClusterError: something could not be written; status says so where it could be, and the caller retries.
        """
        body = self._store.endpoint(key)
        if body is None or "deletionTimestamp" in body["metadata"]:
            self._memories.forget(key)
            self._exporter.endpoints.forget(key)
            return
        try:
            endpoint = self._store.read(body)
        except ValidationError as error:
            self._refuse(body, error)
            return
        seen = self._observe(endpoint, key)
        memory = self._memories.of(key, seen, self._clock())
        problems = tuple(manifests.problems(endpoint, self._defaults))
        self._adopt(seen, memory)
        failure: ClusterError | None = None
        try:
            await self._executor.carry_out(self._plan(seen, memory, problems), seen, memory, body)
        except ClusterError as error:
            failure = error
        seen = self._observe(endpoint, key)
        await self._report(seen, memory, body, problems, failure)
        if failure:
            raise failure

    def _observe(self, endpoint: Endpoint, key: Key) -> Observation:
        return observe(endpoint, self._store.children(key), self._store.pods(key), self._store.served)

    def _adopt(self, seen: Observation, memory: Memory) -> None:
        """Take a change of mode or of bounds in before anything is planned with the count from before."""
        scaling, now = seen.endpoint.spec.scaling, self._clock()
        mode: Mode = scaling.mode if scaling else "Off"
        running = seen.ordered if seen.ordered is not None else memory.state.desired
        memory.state = adopted(memory.state, mode, running, now)
        if scaling and mode == "Active":
            memory.state, decision = bounded(scaling, memory.state, replicas_of(seen, now), now)
            if decision:
                memory.note(scaling_status(memory.state, decision, memory.scaling, now), decision)

    def _plan(self, seen: Observation, memory: Memory, problems: Sequence[str]) -> Plan:
        """What to write. With a spec that can not be done, what runs goes on, and is scaled and sleeps as before."""
        wanted = memory.state.desired
        asleep = is_asleep(seen, wanted)
        replicas, spec_replicas = wanted_replicas(seen, wanted)
        return make_plan(
            seen,
            desired=redirections(seen, asleep=asleep)
            if problems
            else manifests.children(
                seen.endpoint,
                self._defaults,
                asleep=asleep,
                holding=may_hold(seen),
                served=seen.served,
                pooled=leads_to_replicas(seen, asleep=asleep),
                in_use=paths_in_use(seen),
                loader_image=loader_image(seen, self._defaults),
            ),
            replicas=replicas,
            load=memory.load,
            accepted=memory.accepted,
            is_whole=not problems,
            spec_replicas=spec_replicas,
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
        outcome = Outcome(
            desired=seen.ordered,
            problems=problems,
            failure=trouble_of(failure) if failure else None,
            signals=memory.signals,
            stalled_pods=memory.stalled,
            unread_pods=memory.unread,
            revised=memory.revised,
            unanswered_targets=memory.unanswered,
            scaling=memory.scaling_status,
            warnings=tuple(warnings(endpoint.spec.scaling, memory.state, memory.signals, replica_gpus(seen).total()))
            if endpoint.spec.scaling
            else (),
            model=manifests.served_model(endpoint.spec),
            usage=endpoint.status.usage,
            fetched=self._fetched(Key(endpoint.namespace, endpoint.name)),
            adapters=self._adapters(Key(endpoint.namespace, endpoint.name)),
        )
        now = self._clock()
        memory.account = counted(memory.account, seen, memory.state.desired, now, self._gpu_hour_price)
        status = make_status(seen, outcome, now=rfc3339(now))
        self._exporter.endpoints.conditions[endpoint.namespace, endpoint.name] = status.conditions
        is_old = memory.is_moved or is_news(memory.account, endpoint.status.usage)
        if same(status, endpoint.status) and not is_old:
            return
        status = make_status(seen, replace(outcome, usage=record(memory.account)), now=rfc3339(now))
        with contextlib.suppress(NotFound):  # deleted a moment ago
            await self._executor.write_status(endpoint, status)
        memory.is_moved = False
        self._tell(endpoint, status, body)

    def _tell(self, endpoint: Endpoint, status: EndpointStatus, body: Mapping[str, Any]) -> None:
        """Events for a new reason of Ready, for a queue or a route that deserves a look, and for a new hold."""
        before = {entry.type: entry.reason for entry in endpoint.status.conditions}
        ready = next(entry for entry in status.conditions if entry.type == ConditionType.READY)
        if before.get(ConditionType.READY) != ready.reason:
            usual = ready.status == "True" or ready.reason in {
                Reason.REPLICAS_STARTING,
                Reason.ROLLING_OUT,
                Reason.FETCHING_MODEL,
                Reason.BUSINESS_NOT_READY,
                Reason.QUEUE_NOT_READY,
            }
            self._recorder.record(body, ready.reason, ready.message, kind="Normal" if usual else "Warning")
        for entry in status.conditions:
            if entry.reason in WARNINGS and before.get(entry.type) != entry.reason:
                self._recorder.record(body, entry.reason, entry.message, kind="Warning")
        self._tell_of_adapters(endpoint, status, body)
        scaling = status.scaling
        if scaling and scaling.decision and tells_of_hold(scaling, endpoint.status.scaling):
            self._recorder.record(body, "ScalingHeld", scaling.decision.sentence, action="Scale")

    def _tell_of_adapters(self, endpoint: Endpoint, status: EndpointStatus, body: Mapping[str, Any]) -> None:
        known = {entry.name: (entry.source, entry.state) for entry in endpoint.status.adapters or ()}
        for entry in status.adapters or ():
            if known.get(entry.name) == (entry.source, entry.state):
                continue
            if entry.state == "Loaded":
                self._recorder.record(body, "AdapterLoaded", f"{entry.name} is served as model {entry.model}")
            if entry.state == "Failed":
                note = f"{entry.name} of {entry.source}: {entry.message}"
                self._recorder.record(body, Reason.ADAPTER_FAILED, note, kind="Warning")

    def _refuse(self, body: Mapping[str, Any], error: ValidationError) -> None:
        """An object stored under an older CRD that this operator can not read: say so, touch nothing."""
        wrong = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        self._recorder.record(
            body,
            Reason.INVALID_SPEC,
            f"the operator can not read this object, and left all as it is: {wrong}",
            kind="Warning",
        )


def trouble_of(failure: ClusterError) -> Trouble:
    """What a status says of a write that failed."""
    reason = Reason.NOT_OWNED if isinstance(failure, NotOwned) else Reason.APPLY_FAILED
    return Trouble(reason, f"{failure}; the operator tries again by itself")

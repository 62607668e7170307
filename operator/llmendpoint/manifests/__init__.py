"""The children of an endpoint as plain manifests: one file per part, one list of them all."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from llmendpoint.api import names
from llmendpoint.api.accelerators import is_accelerator
from llmendpoint.api.endpoint import Endpoint, EndpointSpec
from llmendpoint.engines import engine_for
from llmendpoint.engines.facts import served_model
from llmendpoint.manifests.activator import activator_deployment, has_activator
from llmendpoint.manifests.adapters import adapter_problems
from llmendpoint.manifests.asynchronous import asynchronous_children
from llmendpoint.manifests.availability import disruption_budgets
from llmendpoint.manifests.business import business_children
from llmendpoint.manifests.cache import cache_claims
from llmendpoint.manifests.common import ManifestDefaults, hashed
from llmendpoint.manifests.contract import contract_problems
from llmendpoint.manifests.gateway import gateway_children
from llmendpoint.manifests.leader_worker_set import name_problems
from llmendpoint.manifests.pod_template import template_problems
from llmendpoint.manifests.prefetch import prefetch_jobs, prefetch_problems
from llmendpoint.manifests.privileges import privilege_problems
from llmendpoint.manifests.service import engine_url, queue_url, replicas_service, service_url, services
from llmendpoint.manifests.workload import engine_workload
from llmendpoint.scaling.schedules import schedule_problems

Manifest = dict[str, Any]


def children(
    endpoint: Endpoint,
    defaults: ManifestDefaults,
    *,
    asleep: bool = False,
    holding: bool = False,
    served: frozenset[str] = names.OPTIONAL_KINDS,
    pooled: bool = True,
    in_use: Iterable[str] = (),
    loader_image: str | None = None,
) -> list[Manifest]:
    """Every child of an endpoint, in the order in which they are best created.

    Args:
        asleep: whether the activator stands in for the engine's replicas.
        holding: whether activator pods are there, which hand over what they hold also when they are not wanted.
        served: kinds of names.OPTIONAL_KINDS that the API server serves.
        pooled: whether an InferencePool leads to all that serves.
        in_use: paths that engines load fetched models from now.
        loader_image: image of what loads adapters beside engines; that of the defaults when None.
    """
    activated = asleep or has_activator(endpoint)
    engines = replace(defaults, fetch_image=loader_image) if loader_image else defaults
    made = [
        *cache_claims(endpoint),
        *prefetch_jobs(endpoint, defaults, in_use),
        # First the one that ends or begins to lead to replicas: nothing is to be sent to one that drains.
        *([replicas_service(endpoint, asleep=asleep)] if activated or holding else []),
        *([activator_deployment(endpoint, defaults)] if activated else []),
        *services(endpoint, asleep=asleep),
        engine_workload(endpoint, engines),
        *business_children(endpoint),
        *asynchronous_children(endpoint, defaults),
        *gateway_children(endpoint, served, pooled=pooled),
        *disruption_budgets(endpoint, with_activator=activated),
    ]
    return [hashed(manifest) for manifest in made]


def problems(endpoint: Endpoint, defaults: ManifestDefaults) -> list[str]:
    """Rules that the spec breaks and that the API server can not check, each with what to do."""
    found = []
    model, facts = endpoint.spec.model, engine_for(endpoint.spec.engine.type)
    scheme = model.origin.scheme
    if scheme not in facts.source_schemes and not model.is_fetched_first:
        known = ", ".join(f"{name}://" for name in sorted(facts.source_schemes))
        fetched = "set model.cache.prefetch, " if model.origin.is_fetchable else ""
        found.append(
            f"{endpoint.spec.engine.type} can not load a model from {scheme}://: {fetched}use one of {known}, "
            "or another engine.type"
        )
    found += prefetch_problems(endpoint)
    schedules = schedule_problems(endpoint.spec.scaling) if endpoint.spec.scaling else []
    asked = [*_target_problems(endpoint.spec), *_budget_problems(endpoint.spec), *name_problems(endpoint)]
    found += adapter_problems(endpoint.spec)
    return [*found, *asked, *schedules, *_template_problems(endpoint, defaults)]


def _template_problems(endpoint: Endpoint, defaults: ManifestDefaults) -> list[str]:
    """Each reconcile asks: without a template of the user's there is nothing to merge and compare."""
    template = endpoint.spec.engine.pod_template
    if not template:
        return []
    if unmergeable := template_problems(template):
        return unmergeable
    privileges = [] if defaults.allow_privileged_pod_templates else privilege_problems(endpoint)
    return [*contract_problems(endpoint), *privileges]


def _target_problems(spec: EndpointSpec) -> list[str]:
    lacking = engine_for(spec.engine.type).metrics.unreported
    return [
        f"{spec.engine.type} does not report what scaling.targets type {target.type} is about, so it would never act: "
        "use ConcurrentRequestsPerReplica or another type"
        for target in (spec.scaling.targets if spec.scaling else [])
        if target.type in lacking
    ]


def _budget_problems(spec: EndpointSpec) -> list[str]:
    engine, scaling = spec.engine, spec.scaling
    if scaling is None or scaling.max_gpus is None or not engine.resource_claims:
        return []
    if any(map(is_accelerator, engine.replica_resources.limits or {})):
        return []
    return [
        "scaling.maxGPUs would never act, because the devices of engine.resourceClaims are not counted: leave it out "
        "and set scaling.maxReplicas"
    ]


__all__ = [
    "ManifestDefaults", "children", "engine_url", "engine_workload", "problems", "queue_url", "served_model",
    "service_url",
]  # fmt: skip

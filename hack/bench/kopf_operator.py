"""``python -m bench.kopf_operator PORT``: the operator that one writes in an afternoon with kopf's handlers and timers.

It makes the same children as the product by the same applies, and reads the engines by the product's own scraper; its
scaler is one line. What differs is how the work is driven: a handler per change, a timer per object.
"""

import logging
import math
import sys
import time
from typing import Any

import aiohttp
import kopf
from kubernetes.aio import client as kube
from kubernetes.aio import config as kube_config
from kubernetes.aio.dynamic import DynamicClient

from bench.objects import scale_object
from llmendpoint import manifests
from llmendpoint.api import names
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.cluster.kinds import ENDPOINT
from llmendpoint.engines import engine_for
from llmendpoint.manifests import ManifestDefaults
from llmendpoint.metrics.exporter import Exporter
from llmendpoint.metrics.scrape import PodScraper
from llmendpoint.metrics.source import EndpointTarget, PodTarget

TICK_SECONDS = 10.0
REQUESTS_PER_REPLICA = 16
RESOURCE = (ENDPOINT.group, ENDPOINT.version, ENDPOINT.plural)


@kopf.on.login()
def log_in(**arguments: Any) -> kopf.ConnectionInfo | None:
    """By KUBECONFIG."""
    return kopf.login_with_kubeconfig(**arguments)


@kopf.on.startup()
async def start(settings: kopf.OperatorSettings, memo: kopf.Memo, **_: Any) -> None:
    """One client and one scraper for all handlers."""
    # The schema of the status has no room for kopf's notes, and Events of each handler's success help nobody.
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage()
    settings.posting.level = logging.WARNING
    await kube_config.load_kube_config()
    memo.client = await DynamicClient(kube.ApiClient())
    memo.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60.0))
    memo.scraper = PodScraper(memo.session, Exporter(), timeout=3.0, clock=time.time)


@kopf.on.cleanup()
async def stop(memo: kopf.Memo, **_: Any) -> None:
    """Close them."""
    await memo.session.close()
    await memo.client.client.close()


@kopf.index("v1", "pods", labels={names.LABEL_ENDPOINT: kopf.PRESENT})
async def pods(
    namespace: str | None, name: str, labels: kopf.Labels, status: kopf.Status, **_: Any
) -> dict[Any, Any] | None:
    """Ready pods by endpoint."""
    ready = any(entry["type"] == "Ready" and entry["status"] == "True" for entry in status.get("conditions", []))
    return {(namespace, labels[names.LABEL_ENDPOINT]): (name, status.get("podIP"))} if ready else None


@kopf.on.create(*RESOURCE)
async def create(body: kopf.Body, memo: kopf.Memo, **_: Any) -> None:
    """Make the children and the first replicas."""
    endpoint = Endpoint.from_object(dict(body))
    await _apply_children(memo.client, endpoint)
    scaling = endpoint.spec.scaling
    await _scale(memo.client, endpoint, scaling.min_replicas if scaling else 1)


@kopf.on.update(*RESOURCE, field="spec")
@kopf.on.resume(*RESOURCE)
async def update(body: kopf.Body, memo: kopf.Memo, **_: Any) -> None:
    """Make the children what they should be."""
    await _apply_children(memo.client, Endpoint.from_object(dict(body)))


@kopf.timer(*RESOURCE, interval=TICK_SECONDS, sharp=True)
async def tick(body: kopf.Body, memo: kopf.Memo, patch: kopf.Patch, **indices: Any) -> None:
    """Read the engines, and set the replicas by the requests that they hold."""
    endpoint = Endpoint.from_object(dict(body))
    scaling = endpoint.spec.scaling
    if scaling is None:
        return
    ready = list(indices["pods"].get((endpoint.namespace, endpoint.name), []))
    port = engine_for(endpoint.spec.engine.type).port
    found = [PodTarget(name, f"{address}:{port}") for name, address in ready]
    target = EndpointTarget(endpoint.namespace, endpoint.name, endpoint.spec.engine.type, scaling, found)
    (reading,) = await memo.scraper.read([target])
    load = sum(sample.in_flight for sample in reading.samples.values())
    wanted = min(max(math.ceil(load / REQUESTS_PER_REPLICA), scaling.min_replicas), scaling.max_replicas)
    status = body.status
    if wanted != status.get("replicas", wanted):
        await _scale(memo.client, endpoint, wanted)
    for field, value in (("replicas", wanted), ("readyReplicas", len(ready))):
        if status.get(field) != value:
            patch.status[field] = value


async def _apply_children(client: DynamicClient, endpoint: Endpoint) -> None:
    for child in manifests.children(endpoint, ManifestDefaults()):
        await _apply(client, child, names.MANAGER_CHILDREN)


async def _scale(client: DynamicClient, endpoint: Endpoint, replicas: int) -> None:
    await _apply(client, scale_object(endpoint.name, endpoint.namespace, replicas), names.MANAGER_SCALER)


async def _apply(client: DynamicClient, manifest: dict[str, Any], manager: str) -> None:
    resource = await client.resources.get(api_version=manifest["apiVersion"], kind=manifest["kind"])
    await client.server_side_apply(resource, body=manifest, field_manager=manager, force_conflicts=True)


if __name__ == "__main__":
    kopf.run(standalone=True, clusterwide=True, liveness_endpoint=f"http://127.0.0.1:{sys.argv[1]}/healthz")

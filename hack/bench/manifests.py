"""What one reconcile computes: read the object, observe, make the children, compare."""

from bench.figures import Figure, timed
from bench.objects import child_objects, endpoint_object, pod_object, stored
from bench.run import Run
from llmendpoint import manifests
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.manifests import ManifestDefaults
from llmendpoint.reconcile.observation import observe
from llmendpoint.reconcile.plan import make_plan

REPLICAS = 4


async def measure(_: Run) -> list[Figure]:
    """On a settled endpoint of four replicas with its children and pods."""
    body = stored(endpoint_object("llama", "team", REPLICAS))
    endpoint = Endpoint.from_object(body)
    children = child_objects(endpoint, REPLICAS)
    pods = [pod_object(endpoint, index, f"10.0.0.{index}") for index in range(REPLICAS)]
    seen = observe(endpoint, children, pods)
    defaults = ManifestDefaults()
    desired = manifests.children(endpoint, defaults)
    assert make_plan(seen, desired=desired, replicas=REPLICAS, load={}).is_empty
    return [
        timed("Endpoint.from_object()", lambda: Endpoint.from_object(body)),
        timed("observe(), 4 pods", lambda: observe(endpoint, children, pods)),
        timed("children()", lambda: manifests.children(endpoint, defaults)),
        timed("make_plan(), nothing to do", lambda: make_plan(seen, desired=desired, replicas=REPLICAS, load={})),
    ]

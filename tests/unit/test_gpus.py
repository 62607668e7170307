"""The GPUs of a pod, as the scheduler counts them."""

from typing import Any

import pytest

from llmendpoint.reconcile.gpus import gpus_of


def container(gpus: int, **more: Any) -> dict[str, Any]:
    return {"name": "c", "resources": {"limits": {"nvidia.com/gpu": gpus}}, **more}


@pytest.mark.parametrize(
    ("what", "limits", "gpus"),
    [
        ("a number", {"nvidia.com/gpu": 2}, {"nvidia.com/gpu": 2}),
        ("as the API server writes it", {"nvidia.com/gpu": "2"}, {"nvidia.com/gpu": 2}),
        ("a MIG instance", {"nvidia.com/mig-1g.10gb": "3"}, {"nvidia.com/mig-1g.10gb": 3}),
        ("AMD", {"amd.com/gpu": "1", "cpu": "4", "memory": "8Gi"}, {"amd.com/gpu": 1}),
        ("Intel", {"gpu.intel.com/i915": 1, "gpu.intel.com/memory.max": "16G"}, {"gpu.intel.com/i915": 1}),
        ("AMD, parted", {"amd.com/cpx_nps4": 4}, {"amd.com/cpx_nps4": 4}),
        ("a shared one", {"nvidia.com/gpu.shared": 1}, {"nvidia.com/gpu.shared": 1}),
        ("whoever makes it", {"gpu.example.com/gpu": 1}, {"gpu.example.com/gpu": 1}),
        ("Gaudi", {"habana.ai/gaudi": 8}, {"habana.ai/gaudi": 8}),
        ("TPU", {"google.com/tpu": "4"}, {"google.com/tpu": 4}),
        ("Neuron", {"aws.amazon.com/neuron": 2}, {"aws.amazon.com/neuron": 2}),
        ("Neuron by cores", {"aws.amazon.com/neuroncore": 2}, {"aws.amazon.com/neuroncore": 2}),
        ("no GPU but its memory", {"nvidia.com/gpumem": 3000, "nvidia.com/gpucores": 30}, {}),
        ("no GPU", {"cpu": "500m", "example.com/fpga": 1, "gpu.intel.com/i915_monitoring": 1}, {}),
        ("none", None, {}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_gpu_is_told_by_its_resource(what: str, limits: dict[str, Any] | None, gpus: dict[str, int]) -> None:
    assert +gpus_of({"containers": [{"name": "engine", "resources": {"limits": limits}}]}) == gpus


@pytest.mark.parametrize(
    ("what", "spec", "gpus"),
    [
        ("containers add up", {"containers": [container(1), container(1)]}, 2),
        ("an init container gives its own back", {"initContainers": [container(1)], "containers": [container(1)]}, 1),
        ("a larger init container counts", {"initContainers": [container(4)], "containers": [container(1)]}, 4),
        (
            "a sidecar keeps its own",
            {"initContainers": [container(1, restartPolicy="Always")], "containers": [container(1)]},
            2,
        ),
        (
            "an init container runs beside the sidecars before it",
            {
                "initContainers": [container(1, restartPolicy="Always"), container(3)],
                "containers": [container(1)],
            },
            4,
        ),
        ("an empty spec", {}, 0),
    ],
)
def test_containers_are_added_as_the_scheduler_does(what: str, spec: dict[str, Any], gpus: int) -> None:
    assert gpus_of(spec).total() == gpus

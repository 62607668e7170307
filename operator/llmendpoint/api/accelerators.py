"""What counts as an accelerator: the resources of the vendors' device plugins, and the products that nodes have."""

import re

# Those of one pod can hold a model together. A vendor's "gpu" is one whoever the vendor is. Intel's plugin also counts
# tiles, memory and its monitor, which are no devices; AMD's names a partition by its modes of compute and memory.
_WHOLE = re.compile(
    r"[^/]+/gpu|gpu\.intel\.com/(i915|xe)|amd\.com/[sdtqc]px_nps[1248]|habana\.ai/gaudi|google\.com/tpu|"
    r"aws\.amazon\.com/neuroncore"
)
# A process sees one MIG instance and no other, and shares of a GPU may be of the same one. A Neuron device has cores,
# of which one model takes several.
# https://docs.nvidia.com/datacenter/tesla/mig-user-guide/deployment-considerations.html
_APART = re.compile(r"nvidia\.com/(gpu\.shared|mig-.+)|aws\.amazon\.com/neuron(device)?")
# NVIDIA's labeller says so of a node whose GPUs are all in parts, which are plain GPUs by resource.
_PARTS = re.compile(r"-MIG-|-SHARED$")

# Label and resource of a product, by the first letters of its name: each labeller spells names in its own way.
_PRODUCTS = {
    "NVIDIA-": ("nvidia.com/gpu.product", "nvidia.com/gpu"),
    "Tesla-": ("nvidia.com/gpu.product", "nvidia.com/gpu"),
    "nvidia-": ("cloud.google.com/gke-accelerator", "nvidia.com/gpu"),
    "AMD_": ("amd.com/gpu.product-name", "amd.com/gpu"),
}
PRODUCT = f"^({'|'.join(_PRODUCTS)})[-A-Za-z0-9_.]*[A-Za-z0-9]$"


def is_accelerator(resource: str) -> bool:
    """Whether a resource is one. A MIG instance, a share of a GPU, a TPU's chip and a Neuron core are one each."""
    return bool(_WHOLE.fullmatch(resource) or _APART.fullmatch(resource))


def is_grouped(resource: str, product: str | None = None) -> bool:
    """Whether a model can be split over several of it, on nodes of a product."""
    return bool(_WHOLE.fullmatch(resource)) and not _PARTS.search(product or "")


def node_labels(product: str) -> dict[str, str]:
    """What nodes that have a product are labelled with, by whoever spells it so; empty where nobody is known."""
    return {label: product for first, (label, _) in _PRODUCTS.items() if product.startswith(first)}


def usual_resource(product: str | None) -> str:
    """The resource by which a product is asked for; NVIDIA's where it is not said."""
    named = (resource for first, (_, resource) in _PRODUCTS.items() if product and product.startswith(first))
    return next(named, "nvidia.com/gpu")

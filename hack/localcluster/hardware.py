"""What a test machine lacks and a node is given all the same: GPUs, and volumes that several pods can share."""

import json
from pathlib import Path

from localcluster import tools

GPUS = 8
VOLUMES = 40
STORAGE_CLASS = "standard"


def add_gpus(kubeconfig: Path, node: str) -> None:
    """Let a node offer GPUs that do not exist: an extended resource in its status."""
    patch = [
        {"op": "add", "path": f"/status/{part}/nvidia.com~1gpu", "value": str(GPUS)}
        for part in ("capacity", "allocatable")
    ]
    tools.kubectl(kubeconfig, "patch", "node", node, "--subresource=status", "--type=json", "-p", json.dumps(patch))


def add_volumes(kubeconfig: Path, directory: Path) -> None:
    """Put volumes at hand, folders of the node, for the claims that a provisioner would serve elsewhere.

    Args:
        directory: where they lie on the node.
    """
    _apply(kubeconfig, [_volume(index, directory / str(index)) for index in range(VOLUMES)])


def add_storage_class(kubeconfig: Path) -> None:
    """The default storage class, for a cluster that has none."""
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    storage_class: dict[str, object] = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": STORAGE_CLASS, "annotations": default},
        "provisioner": "kubernetes.io/no-provisioner",
    }
    _apply(kubeconfig, [storage_class])


def _volume(index: int, path: Path) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"local-{index}"},
        "spec": {
            "capacity": {"storage": "1Ti"},
            "accessModes": ["ReadWriteMany", "ReadWriteOnce", "ReadOnlyMany"],
            "storageClassName": STORAGE_CLASS,
            "persistentVolumeReclaimPolicy": "Retain",
            "hostPath": {"path": str(path), "type": "DirectoryOrCreate"},
        },
    }


def _apply(kubeconfig: Path, items: list[dict[str, object]]) -> None:
    everything = {"apiVersion": "v1", "kind": "List", "items": items}
    tools.kubectl(kubeconfig, "apply", "--server-side", "-f", "-", stdin=json.dumps(everything))

"""A claim ``files`` with a pod ``files`` that has it, as a user's would: what is to be read is written there."""

import json

from localcluster import images
from localcluster.cluster import Cluster


def apply(cluster: Cluster, namespace: str, folder: str, script: str) -> None:
    """Create both. Returns when ``script`` has run in the pod, which has the claim at ``folder``."""
    about = {"metadata": {"name": "files", "namespace": namespace}}
    claim = {
        **about,
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    container = {
        "name": "files",
        "image": images.image_name("enginesim"),
        "imagePullPolicy": "IfNotPresent",
        "command": ["sleep", "1200"],
        "volumeMounts": [{"name": "files", "mountPath": folder}],
    }
    pod = {
        **about,
        "apiVersion": "v1",
        "kind": "Pod",
        "spec": {
            "containers": [container],
            "volumes": [{"name": "files", "persistentVolumeClaim": {"claimName": "files"}}],
            "terminationGracePeriodSeconds": 0,
        },
    }
    for body in (claim, pod):
        cluster.kubectl("apply", "-f", "-", stdin=json.dumps(body))
    cluster.kubectl("wait", "pod/files", "-n", namespace, "--for=condition=Ready", "--timeout=60s")
    cluster.kubectl("exec", "files", "-n", namespace, "--", "sh", "-c", script)

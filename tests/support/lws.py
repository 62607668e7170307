"""LeaderWorkerSet's own controllers and webhooks as a process of this machine."""

import base64
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from localcluster import tools
from localcluster.cluster import Cluster
from localcluster.commands import run
from support.kube import eventually
from support.optional_kinds import install
from support.prometheus import free_port

LEADER_WORKER_SETS = "leaderworkersets"
GROUP = "leaderworkerset.x-k8s.io"
RULES: dict[str, dict[str, Any]] = {
    f"{{}}-{GROUP.replace('.', '-')}-v1-leaderworkerset": {
        "apiGroups": [GROUP], "apiVersions": ["v1"], "resources": [LEADER_WORKER_SETS],
        "operations": ["CREATE", "UPDATE"],
    },
    "{}--v1-pod": {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]},
}  # fmt: skip


@contextmanager
def running_controllers(cluster: Cluster, directory: Path) -> Iterator[Path]:
    """The kinds and what makes groups of them, until the block ends. Yields the log."""
    tools.ensure(tools.GROUPS)
    port, log = free_port(), directory / "lws.log"
    address = cluster.machine_address
    _make_certificate(directory, address)
    webhooks = json.dumps(_webhooks(f"https://{address}:{port}", directory))
    # First, so that no group is made without them.
    cluster.kubectl("apply", "-f", "-", stdin=webhooks)
    # One program looks after both, and ends where one of them is not served.
    for plural in (LEADER_WORKER_SETS, "disaggregatedsets"):
        install(cluster, plural)
    configuration = {
        "apiVersion": "config.lws.x-k8s.io/v1alpha1",
        "kind": "Configuration",
        "leaderElection": {"leaderElect": False},
        "internalCertManagement": {"enable": False},
        "webhook": {"host": address, "port": port, "certDir": str(directory)},
        "metrics": {"bindAddress": "0"},
        "health": {"healthProbeBindAddress": f"127.0.0.1:{free_port()}"},
    }
    file = directory / "lws.json"
    file.write_text(json.dumps(configuration))
    command = [tools.program("cmd"), f"--config={file}", f"--kubeconfig={cluster.kubeconfig}"]
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        eventually(lambda: process.poll() is not None or "Serving webhook server" in log.read_text(), 60)
        assert process.poll() is None, log.read_text()[-3000:]
        yield log
    finally:
        # Or nobody could make a pod any more.
        cluster.kubectl("delete", "-f", "-", stdin=webhooks)
        process.terminate()
        # Its controllers have 30 s to end.
        process.wait(60)


def _make_certificate(directory: Path, address: str) -> None:
    run([
        "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=lws",
        "-addext", f"subjectAltName=IP:{address}", "-keyout", f"{directory}/tls.key", "-out", f"{directory}/tls.crt",
    ])  # fmt: skip


def _webhooks(url: str, directory: Path) -> dict[str, Any]:
    bundle = base64.b64encode((directory / "tls.crt").read_bytes()).decode()
    kinds = {"mutate": "MutatingWebhookConfiguration", "validate": "ValidatingWebhookConfiguration"}
    return {
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            {
                "apiVersion": "admissionregistration.k8s.io/v1",
                "kind": kind,
                "metadata": {"name": f"lws-{verb}"},
                "webhooks": [
                    {
                        "name": f"{verb}{number}.lws.x-k8s.io",
                        "clientConfig": {
                            "url": f"{url}/{path.format(verb)}",
                            "caBundle": bundle,
                        },
                        "rules": [rule],
                        "sideEffects": "None",
                        "admissionReviewVersions": ["v1"],
                    }
                    for number, (path, rule) in enumerate(RULES.items())
                ],
            }
            for verb, kind in kinds.items()
        ],
    }

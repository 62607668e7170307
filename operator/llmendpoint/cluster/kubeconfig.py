"""Which API server to talk to, as whom and in which namespace: the pod's service account, or a kubeconfig."""

import os
from dataclasses import dataclass
from pathlib import Path

import yaml
from kubernetes.aio import client as kube
from kubernetes.aio import config as kube_config

from llmendpoint.cluster.errors import ClusterError

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
DEFAULT_FILE = "~/.kube/config"
REMEDY = "set KUBECONFIG or --context, or run inside a pod"
# What reading YAML of another form than a kubeconfig's ends in.
MALFORMED = (yaml.YAMLError, LookupError, TypeError, ValueError, AttributeError)


@dataclass(frozen=True)
class Access:
    """How to reach an API server."""

    configuration: kube.Configuration
    context: str
    """Name in the kubeconfig; empty in a pod."""
    namespace: str
    """The one that counts where none is named."""


async def find_access(kubeconfig: str | None, context: str | None) -> Access:
    """As the pod's service account when in a cluster and nothing is named, else by kubeconfig.

    Raises:
        ClusterError: neither a service account nor a usable kubeconfig was found.
    """
    configuration = kube.Configuration()
    try:
        if kubeconfig is None and context is None and (SERVICE_ACCOUNT / "token").exists():
            kube_config.load_incluster_config(client_configuration=configuration)
            return Access(configuration, "", (SERVICE_ACCOUNT / "namespace").read_text().strip() or "default")
        files = _existing(kubeconfig or os.environ.get("KUBECONFIG") or DEFAULT_FILE)
    except kube_config.ConfigException as error:
        raise ClusterError(f"no cluster to talk to: {error}; {REMEDY}") from error
    try:
        loader = await kube_config.load_kube_config(
            config_file=files, context=context, client_configuration=configuration
        )
        active = loader.current_context
        return Access(configuration, active["name"], (active.get("context") or {}).get("namespace") or "default")
    except kube_config.ConfigException as error:
        raise ClusterError(_unusable(files, context, error)) from error
    except MALFORMED as error:
        raise ClusterError(f"no cluster to talk to: {files} is no kubeconfig; {REMEDY}") from error


def _existing(files: str) -> str:
    """Paths as in KUBECONFIG, of which one must exist."""
    if not any(Path(path).expanduser().is_file() for path in files.split(os.pathsep) if path):
        raise ClusterError(f"no cluster to talk to: there is no kubeconfig at {files}; {REMEDY}")
    return files


def _unusable(files: str, context: str | None, error: kube_config.ConfigException) -> str:
    """Why a kubeconfig gives no access, with its contexts where the named one is not among them."""
    try:
        known = [entry["name"] for entry in kube_config.list_kube_config_contexts(files)[0]]
    except (kube_config.ConfigException, *MALFORMED):
        known = []
    if context is not None and known and context not in known:
        return f'{files} has no context "{context}": it has {", ".join(known)}'
    return f"no cluster to talk to: {error}; {REMEDY}"

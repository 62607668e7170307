"""etcd, kube-apiserver, controller manager, scheduler and kwok, run by kwokctl."""

import contextlib
import fcntl
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import yaml

from localcluster import tools
from localcluster.commands import run
from localcluster.fakes import SELECTED_BY, fake_node
from localcluster.paths import cache_dir
from localcluster.sandbox import Sandbox

SERVICE_RANGE_GATEWAY = "10.0.0.1"


class ControlPlane:
    """One control plane. Inside a sandbox it can be reached from the machine and from pods, else on loopback only.

    Args:
        directory: where its files are kept.
    """

    def __init__(self, name: str, directory: Path, sandbox: Sandbox | None) -> None:
        self._name = name
        self._work = directory / "kwok"
        self._sandbox = sandbox
        self._folder = self._work / "clusters" / name
        self.kubeconfig = directory / "kubeconfig.yaml"

    def start(self, audit_policy: Path | None = None) -> None:
        """Start it and wait until the API server answers.

        Args:
            audit_policy: for measuring: the API server logs the requests that it names, and no controller holds back
                by a limit of its own.
        """
        self._work.mkdir(parents=True, exist_ok=True)
        config = self._work / "options.yaml"
        measured = {"kubeAuditPolicy": str(audit_policy), "disableQPSLimits": True} if audit_policy else {}
        options = self._options()
        config.write_text(yaml.safe_dump(options | {"options": options["options"] | measured}))
        extra = {
            # Nodes that are not fake are the kubelet's business.
            "kwok-controller": [
                "manage-all-nodes=false",
                f"manage-nodes-with-annotation-selector={'='.join(SELECTED_BY)}",
            ],
            "kube-apiserver": [
                "kubelet-preferred-address-types=InternalIP",
                # As OpenShift has it: an owner reference needs rights on its owner.
                "enable-admission-plugins=OwnerReferencesPermissionEnforcement",
                *(["audit-log-maxsize=10000"] if audit_policy else []),  # MB: one file, not several in turn
            ],
            # An HPA that looks often finds a fight over the replica count soon. There is one process of each: it would
            # end if it could not renew its lease while the API server is away, and nobody would start it again.
            "kube-controller-manager": [
                "horizontal-pod-autoscaler-sync-period=2s",
                "leader-elect=false",
                # A node that is not heard of for 40 s, as when the API server is away, is taken for lost, and its
                # pods for not ready until a kubelet reports them again. On fake nodes none does.
                *([] if self._sandbox else ["node-monitor-grace-period=10m"]),
            ],
            "kube-scheduler": ["leader-elect=false"],
        }
        # The first of each part before any second: kwokctl takes places on its command line for ones in its list.
        rows = zip_longest(*([f"{part}={value}" for value in values] for part, values in extra.items()))
        flags = [f"--extra-args={value}" for row in rows for value in row if value]
        with _one_at_a_time():
            self._kwokctl("create", "cluster", f"--config={config}", *flags, "--wait=180s")
        self.kubeconfig.write_text(self._reachable_kubeconfig())
        self.kubeconfig.chmod(0o600)

    def pid_file(self, component: str) -> Path:
        """Where the process id of a component is kept, for example of ``kube-apiserver``."""
        return self._folder / "pids" / f"{component}.pid"

    def stop(self) -> None:
        """Stop it. One that is not there, or only half there, is fine."""
        if self._folder.exists():
            self._kwokctl("delete", "cluster")

    def add_fake_nodes(self, count: int) -> None:
        """Nodes that only exist on paper, with eight GPUs each."""
        self.apply([fake_node(index) for index in range(count)])

    def apply(self, items: Sequence[Mapping[str, Any]]) -> None:
        """Server-side apply of all of them."""
        listed = {"apiVersion": "v1", "kind": "List", "items": items}
        self.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(listed))

    def kubectl(self, *args: str, stdin: str | None = None) -> str:
        """Run kubectl against it; its output."""
        return tools.kubectl(self.kubeconfig, *args, stdin=stdin).stdout

    @property
    def audit_log(self) -> Path:
        """Where the API server logs the requests that an audit policy names, one JSON object a line."""
        return self._folder / "logs" / "audit.log"

    def _options(self) -> dict[str, Any]:
        addresses = ["127.0.0.1", SERVICE_RANGE_GATEWAY]
        if self._sandbox:
            addresses.append(self._sandbox.node_address)
        return {
            "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
            "kind": "KwokctlConfiguration",
            "options": {
                "runtime": "binary",
                "bindAddress": "0.0.0.0" if self._sandbox else "127.0.0.1",
                "kubeApiserverCertSANs": addresses,
                "etcdBinary": tools.program("server"),
                "kubeApiserverBinary": tools.program("kube-apiserver"),
                "kubeControllerManagerBinary": tools.program("kube-controller-manager"),
                "kubeSchedulerBinary": tools.program("kube-scheduler"),
                "kwokControllerBinary": tools.program("kwok"),
            },
        }

    def _reachable_kubeconfig(self) -> str:
        made = yaml.safe_load((self._folder / "kubeconfig.yaml").read_text())
        if self._sandbox:
            cluster = made["clusters"][0]["cluster"]
            port = cluster["server"].rpartition(":")[2]
            cluster["server"] = f"https://{self._sandbox.node_address}:{port}"
        return yaml.safe_dump(made)

    def _kwokctl(self, *args: str) -> None:
        command = [tools.program("kwokctl"), f"--name={self._name}", *args]
        # kwokctl would add a context to the user's own kubeconfig.
        aside = [f"--kubeconfig={self._work / 'ignored.yaml'}"] if "create" in args or "delete" in args else []
        environment = {"KWOK_WORKDIR": str(self._work), "PATH": tools.search_path(), "HOME": str(self._work)}
        full = [*command, *aside]
        if self._sandbox and self._sandbox.anchor:
            full = self._sandbox.command(full)
        run(full, environment=environment)


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    """kwokctl takes ports that are free when it looks: two at the same moment would take the same ones."""
    with (cache_dir() / "starting").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield

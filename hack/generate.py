"""Writes what is derived from the code: CRDs, parts of the chart, dashboards, pages. With --check only compares.

Usage: python hack/generate.py [--check]
"""

import sys
from collections.abc import Iterable
from pathlib import Path

import chart_values
import dashboards
import fields_page
import metrics_page
import reasons_page
from llmendpoint.api import schema

ROOT = Path(__file__).resolve().parent.parent
CHART = ROOT / "charts" / "llmendpoint-operator"
NOTICE = "# Made by `make generate` from operator/llmendpoint/api; edit that.\n"


def chart_template(crds: Iterable[str]) -> str:
    """The CRDs as a template, so that an upgrade of the chart upgrades them; uninstalling the chart keeps them."""
    annotation = "  annotations:\n    helm.sh/resource-policy: keep\n"
    kept = "---\n".join(crd.replace("metadata:\n", f"metadata:\n{annotation}", 1) for crd in crds)
    return f"{{{{- if .Values.crds.install }}}}\n{NOTICE}{kept}{{{{- end }}}}\n"


def outputs() -> dict[Path, str]:
    """Each derived file with its content."""
    crds = {definition.plural: schema.to_yaml(definition) for definition in schema.DEFINITIONS}
    return {
        **{ROOT / "crds" / f"{plural}.yaml": NOTICE + crd for plural, crd in crds.items()},
        CHART / "templates" / "crds.yaml": chart_template(crds.values()),
        CHART / "values.yaml": chart_values.values(),
        CHART / "README.md": chart_values.readme(),
        **{CHART / "files" / "dashboards" / f"{name}.json": text for name, text in dashboards.pages().items()},
        ROOT / "docs" / "metrics.md": metrics_page.page(),
        ROOT / "docs" / "fields.md": fields_page.page(schema.ENDPOINT),
        ROOT / "docs" / "batch-fields.md": fields_page.page(schema.BATCH),
        ROOT / "docs" / "conditions.md": reasons_page.page(),
    }


def main() -> int:
    """Write, or compare. Returns the exit status."""
    made = outputs()
    if "--check" in sys.argv[1:]:
        stale = [path for path, text in made.items() if not path.exists() or path.read_text() != text]
        for path in stale:
            print(f"{path.relative_to(ROOT)} does not match what it is made of: run `make generate`", file=sys.stderr)
        return 1 if stale else 0
    for path, text in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())

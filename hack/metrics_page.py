"""docs/metrics.md: every metric that the operator exports, as tables."""

from collections.abc import Iterable

from llmendpoint.metrics import families
from llmendpoint.metrics.families import Family

HEAD = """\
<!-- Made by `make generate` from operator/llmendpoint/metrics/families.py; edit that. -->
# Metrics of the operator

On `/metrics` of port `http`, beside `process_*` of every program. How to collect and to show them:
[observability.md](observability.md).
"""
TABLE = "| metric | type | labels | meaning |\n|---|---|---|---|\n"


def page() -> str:
    """The page in Markdown."""
    sections = (
        ("## Each endpoint", "They go with the endpoint. What is not known has no series.", families.ENDPOINT),
        ("## The scaler", "One tick reads and decides on all endpoints.", families.SCALER),
        ("## The operator", "What controller-runtime has, in the operator's own words.", families.OPERATOR),
    )
    return HEAD + "".join(f"\n{title}\n\n{words}\n\n{TABLE}{_rows(of)}" for title, words, of in sections)


def _rows(of: Iterable[Family]) -> str:
    return "".join(
        f"| `{family.name}` | {family.kind} | {', '.join(f'`{label}`' for label in family.labels)} | "
        f"{family.meaning.replace('<', '&lt;').replace('>', '&gt;')} |\n"
        for family in of
    )

"""All children of whole objects, compared line by line with the files of tests/golden.

A golden file holds the object and then every child. The objects of examples/ are golden as well. A new case is a file
with an object alone: `pytest --update-golden` adds the children.
"""

import difflib
from pathlib import Path

import pytest
import yaml

from llmendpoint.api import plain_yaml
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.cli import validation
from llmendpoint.manifests import ManifestDefaults, children, problems

ROOT = Path(__file__).resolve().parents[2]
GOLDEN, EXAMPLES = ROOT / "tests" / "golden", ROOT / "examples"
CASES = sorted({path.name for folder in (GOLDEN, EXAMPLES) for path in folder.glob("*.yaml")})


@pytest.mark.parametrize("case", CASES)
def test_an_object_becomes_its_golden_children(case: str, request: pytest.FixtureRequest) -> None:
    golden, made = GOLDEN / case, rendered(case)
    if request.config.getoption("update_golden"):
        golden.write_text(made)
    known = golden.read_text() if golden.exists() else ""
    if known != made:
        lines = difflib.unified_diff(
            known.splitlines(), made.splitlines(), str(golden.relative_to(ROOT)), "now", "", "", 2, ""
        )
        pytest.fail(
            "the children are not the golden ones:\n" + "\n".join(lines) + "\n\nIf this is meant, write them with\n"
            "    uv run pytest tests/unit/test_golden.py --update-golden\nand look at what git diff says.",
            pytrace=False,
        )


def rendered(case: str) -> str:
    """The golden text as it should be: the object as it was written, then its children as they are now."""
    source = next(folder / case for folder in (EXAMPLES, GOLDEN) if (folder / case).exists())
    written = source.read_text().partition("\n---\n")[0].rstrip("\n") + "\n"
    body = yaml.safe_load(written)
    assert validation.problems(body) == []
    body["metadata"] = {"namespace": "default", "uid": "00000000-0000-4000-8000-000000000000", **body["metadata"]}
    endpoint = Endpoint.from_object(body)
    assert problems(endpoint, ManifestDefaults()) == []
    return written + "".join("---\n" + plain_yaml.dump(child) for child in children(endpoint, ManifestDefaults()))

"""All children of whole objects, endpoints and batches, compared line by line with the files of tests/golden.

A golden file holds the object and then every child. The objects of examples/ are golden as well. A new case is a file
with an object alone: `pytest --update-golden` adds the children.
"""

import difflib
from pathlib import Path

import pytest
import yaml

from llmendpoint.api import names, plain_yaml
from llmendpoint.api.batch import Batch
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.cli import validation
from llmendpoint.manifests import Manifest, ManifestDefaults, children, problems
from llmendpoint.manifests.batch import batch_job, endpoint_of, own_endpoint
from support import builders

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
    made = of_batch(Batch.from_object(body)) if body["kind"] == names.BATCH_KIND else of_endpoint(body)
    return written + "".join("---\n" + plain_yaml.dump(child) for child in made)


def of_endpoint(body: Manifest) -> list[Manifest]:
    endpoint = Endpoint.from_object(body)
    assert problems(endpoint, ManifestDefaults()) == []
    return children(endpoint, ManifestDefaults())


def of_batch(batch: Batch) -> list[Manifest]:
    """What an endpoint of its own becomes is not the batch's."""
    if spec := batch.spec.endpoint:
        return [
            own_endpoint(batch, spec),
            batch_job(batch, endpoint_of(batch) or builders.endpoint(), ManifestDefaults()),
        ]
    secret = {"name": "keys", "key": "llama"}
    answering = builders.endpoint(engine={"type": "TGI", "apiKeySecretRef": secret, "imagePullSecrets": ["regcred"]})
    return [batch_job(batch, answering, ManifestDefaults())]

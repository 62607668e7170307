"""The documentation tells the truth: links lead somewhere, objects are valid, commands run."""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from llmendpoint import manifests
from llmendpoint.api.endpoint import Endpoint, EndpointSpec
from llmendpoint.cli import validation
from localcluster.paths import ROOT

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
WRITTEN = [*PAGES, *(ROOT / name for name in ("README.md", "CONTRIBUTING.md"))]
REPOSITORY = re.compile(r"https://github\.com/llmendpoint/operator/(?:blob|tree)/main/([^#]+)")
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
SECONDS = 300


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose(page: Path) -> str:
    """The page without its code."""
    return re.sub(r"`[^`\n]+`", "", FENCE.sub("", page.read_text()))


def anchors(page: Path) -> set[str]:
    """What Markdown makes of the headings."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    plain = (re.sub(r"[^\w\s-]", "", re.sub(r"\[(.*?)\]\(.*?\)", r"\1", heading)) for heading in headings)
    return {re.sub(r"[\s-]+", "-", heading.strip().lower()) for heading in plain}


def blocks(language: str) -> Iterator[tuple[Path, str]]:
    for page in WRITTEN:
        for match in FENCE.finditer(page.read_text()):
            if match[2] == language:
                yield page, match[3]


def examples() -> Iterator[Any]:
    """Each YAML document of the pages."""
    for page, text in blocks("yaml"):
        for body in yaml.safe_load_all(text):
            yield pytest.param(body, id=f"{named(page)}: {text.splitlines()[0]}")


def commands() -> Iterator[Any]:
    for page, text in blocks("sh"):
        yield pytest.param(text, id=f"{named(page)}: {text.splitlines()[0]}")


@pytest.mark.parametrize("page", WRITTEN, ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(prose(page)):
        if of_repository := REPOSITORY.fullmatch(link.partition("#")[0]):
            assert (ROOT / of_repository[1]).exists(), f"{link}: the repository has no such file"
            continue
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link}: no such file"
        if page.is_relative_to(DOCS):
            assert target.is_relative_to(DOCS), f"{link}: leads out of the site, write the address in the repository"
        if anchor:
            assert anchor in anchors(target), f"{link}: {target.name} has {', '.join(sorted(anchors(target)))}"


def test_every_page_is_in_the_navigation_once() -> None:
    def files(entry: Any) -> Iterator[str]:
        if isinstance(entry, str):
            yield entry
        for inner in entry.values() if isinstance(entry, dict) else entry if isinstance(entry, list) else ():
            yield from files(inner)

    navigation = tomllib.loads((ROOT / "zensical.toml").read_text())["project"]["nav"]
    assert sorted(files(navigation)) == [str(page.relative_to(DOCS)) for page in PAGES]


@pytest.mark.parametrize("body", [*examples()])
def test_objects_in_the_pages_are_valid(body: dict[str, Any]) -> None:
    """A fragment of a spec is made whole by the smallest object."""
    if "kind" not in body:
        assert body.keys() <= {field.alias for field in EndpointSpec.model_fields.values()}
        spec = {"model": {"source": "hf://acme/llama"}, **body}
        body = {"apiVersion": "llmendpoint.dev/v1alpha1", "kind": "LLMEndpoint", "metadata": {"name": "llama"}}
        body["spec"] = spec
    if body["kind"] == "LLMEndpoint":
        assert validation.problems(body) == []
        assert manifests.problems(Endpoint.from_object(body), manifests.ManifestDefaults()) == []


@pytest.mark.parametrize("script", [*commands()])
def test_commands_marked_sh_run_in_a_checkout(script: str, tmp_path: Path) -> None:
    """What needs a cluster, or files of the reader's own, is not marked."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path, env={**os.environ, "PATH": path}, capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stdout + done.stderr

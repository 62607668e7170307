"""The command line without a cluster: what it prints, and its exit status."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from llmendpoint.api import schema
from llmendpoint.cli.main import app
from support import bad_batches
from support.bad_objects import BAD, GOOD, changed, of_one_pod

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "examples").glob("*.yaml"))


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def written(directory: Path, *bodies: dict[str, Any]) -> Path:
    path = directory / "objects.yaml"
    path.write_text(yaml.safe_dump_all(bodies))
    return path


@pytest.mark.parametrize(("path", "value", "sentence"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_validate_refuses_what_the_api_server_refuses(tmp_path: Path, path: str, value: Any, sentence: str) -> None:
    result = run("validate", "-f", written(tmp_path, changed(path, value)))
    assert result.exit_code == 1, result.output
    assert sentence in result.output


@pytest.mark.parametrize(
    ("path", "value", "sentence"), [case[1:] for case in bad_batches.BAD], ids=[case[0] for case in bad_batches.BAD]
)
def test_validate_refuses_batches_too(tmp_path: Path, path: str, value: Any, sentence: str) -> None:
    result = run("validate", "-f", written(tmp_path, changed(path, value, bad_batches.GOOD)))
    assert result.exit_code == 1, result.output
    assert sentence in result.output


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_is_valid(example: Path) -> None:
    result = run("validate", "-f", example)
    assert (result.exit_code, result.exception) == (0, None), result.output
    assert result.output.endswith(": valid\n")


def test_validate_checks_every_object(tmp_path: Path) -> None:
    result = run("validate", "-f", written(tmp_path, changed("spec.replicas", -1), GOOD))
    assert result.exit_code == 1
    assert "good: valid" in result.output


def test_one_pod_may_have_the_cache_for_itself(tmp_path: Path) -> None:
    for spec in (of_one_pod("Recreate"), of_one_pod("Recreate", scaling={"maxReplicas": 1})):
        assert run("validate", "-f", written(tmp_path, changed("spec", spec))).output.endswith(": valid\n")


def test_render_prints_every_child(tmp_path: Path) -> None:
    result = run("render", "-f", written(tmp_path, GOOD))
    assert result.exit_code == 0
    kinds = [child["kind"] for child in yaml.safe_load_all(result.output)]
    assert {"Deployment", "Service", "PodDisruptionBudget"} <= set(kinds)


def test_render_writes_equal_parts_out_in_full() -> None:
    for example in EXAMPLES:
        assert "&id" not in run("render", "-f", example).output


def test_render_refuses_a_bad_object(tmp_path: Path) -> None:
    result = run("render", "-f", written(tmp_path, changed("spec.model", None)))
    assert result.exit_code == 1
    assert "spec.model: Required value" in result.output


@pytest.mark.parametrize("command", ["render", "validate"])
def test_what_an_engine_can_not_load_is_said(tmp_path: Path, command: str) -> None:
    body = changed("spec.engine", {"type": "TGI"})
    body["spec"]["model"]["source"] = "s3://bucket/llama"
    result = run(command, "-f", written(tmp_path, body))
    assert result.exit_code == 1
    assert "TGI can not load a model from s3://" in result.output


@pytest.mark.parametrize("command", ["render", "validate"])
def test_a_privileged_pod_template_is_refused_unless_it_is_allowed(tmp_path: Path, command: str) -> None:
    path = written(tmp_path, changed("spec.engine", {"podTemplate": {"spec": {"hostNetwork": True}}}))
    result = run(command, "-f", path)
    assert result.exit_code == 1
    assert "good: engine.podTemplate.spec.hostNetwork must not be true" in result.output
    assert "administrator can allow such pod templates" in result.output
    assert run(command, "-f", path, "--allow-privileged-pod-templates").exit_code == 0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("{", "is not YAML"), ("kind: Pod", "has no object of kind LLMEndpoint or LLMBatch"), ("", "has no object")],
)
def test_a_file_without_an_object_is_named(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    for command in ("validate", "render"):
        result = run(command, "-f", path)
        assert result.exit_code == 1
        assert sentence in result.output


def test_render_shows_the_job_of_a_batch_and_whom_it_asks(tmp_path: Path) -> None:
    known = {**GOOD, "metadata": {"name": "llama", "namespace": "default"}}
    result = run("render", "-f", written(tmp_path, known, bad_batches.GOOD))
    assert result.exit_code == 0, result.output
    (job,) = [child for child in yaml.safe_load_all(result.output) if child["kind"] == "Job"]
    assert "--engine-url=http://llama-engine.default.svc:80" in job["spec"]["template"]["spec"]["containers"][0]["args"]
    alone = run("render", "-f", written(tmp_path, bad_batches.GOOD))
    assert (alone.exit_code, "put LLMEndpoint llama into the file" in alone.output) == (1, True)


def test_what_a_batch_s_own_engine_can_not_load_is_said(tmp_path: Path) -> None:
    engines = {"model": {"source": "s3://bucket/llama"}, "engine": {"type": "TGI"}}
    body = {**bad_batches.GOOD, "spec": {**bad_batches.FILES, "endpoint": engines}}
    result = run("validate", "-f", written(tmp_path, body))
    assert (result.exit_code, "TGI can not load a model from s3://" in result.output) == (1, True)


def test_another_version_is_refused(tmp_path: Path) -> None:
    result = run("validate", "-f", written(tmp_path, {**GOOD, "apiVersion": "llmendpoint.dev/v2"}))
    assert result.exit_code == 1
    assert "must be llmendpoint.dev/v1alpha1" in result.output


def test_crd_prints_those_of_the_api() -> None:
    printed = list(yaml.safe_load_all(run("crd").output))
    assert printed == [schema.crd(definition) for definition in schema.DEFINITIONS]

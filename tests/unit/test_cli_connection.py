"""The commands that ask a cluster, where there is none or it does not answer: one sentence, exit status 1."""

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from llmendpoint.cli.connection import sentence
from llmendpoint.cli.lookup import absence
from llmendpoint.cli.main import app
from llmendpoint.cluster import kubeconfig
from llmendpoint.cluster.errors import ClusterError, Forbidden, Refused, Unreachable

COMMANDS = (["status"], ["status", "llama"], ["explain", "llama"], ["history", "llama"], ["doctor"])
SERVER = "https://here (context home)"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def written(directory: Path, text: str) -> Path:
    path = directory / "kubeconfig"
    path.write_text(text)
    return path


def config(directory: Path, server: str = "http://127.0.0.1:1") -> Path:
    body = {
        "apiVersion": "v1", "kind": "Config", "current-context": "home",
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "home", "context": {"cluster": "c", "user": "u", "namespace": "team"}}],
    }  # fmt: skip
    return written(directory, yaml.safe_dump(body))


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a kubeconfig nor a service account of this machine's."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setattr(kubeconfig, "SERVICE_ACCOUNT", tmp_path / "none")


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_without_a_kubeconfig_it_says_where_one_was_looked_for(command: list[str]) -> None:
    result = run(*command)
    assert result.exit_code == 1
    assert result.stderr == (
        "no cluster to talk to: there is no kubeconfig at ~/.kube/config; set KUBECONFIG or --context, or run inside a "
        "pod\n"
    )


@pytest.mark.parametrize("text", ["", "[1, 2]", "a: [", "contexts: 3", "just words", "\x00"])
def test_a_file_that_is_no_kubeconfig_is_told(tmp_path: Path, text: str) -> None:
    result = run("status", "--kubeconfig", written(tmp_path, text))
    assert result.exit_code == 1
    assert result.stderr.startswith("no cluster to talk to: ")
    assert len(result.stderr.splitlines()) == 1


def test_a_context_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    result = run("explain", "llama", "--kubeconfig", config(tmp_path), "--context", "work")
    assert result.exit_code == 1
    assert result.stderr.endswith('has no context "work": it has home\n')


@pytest.mark.parametrize("command", COMMANDS[:-1], ids=" ".join)
def test_an_api_server_that_does_not_answer_is_told(tmp_path: Path, command: list[str]) -> None:
    result = run(*command, "--kubeconfig", config(tmp_path))
    assert result.exit_code == 1
    assert result.stderr.startswith("no answer from the API server http://127.0.0.1:1 (context home): ")
    assert len(result.stderr.splitlines()) == 1


def test_to_the_doctor_an_api_server_that_does_not_answer_is_a_finding(tmp_path: Path) -> None:
    result = run("doctor", "--kubeconfig", config(tmp_path), "-o", "yaml")
    assert result.exit_code == 1
    (check,) = yaml.safe_load(result.stdout)
    assert (check["level"], check["subject"]) == ("fail", "API server")


def test_an_endpoint_has_one_namespace() -> None:
    assert (
        run("status", "llama", "-A").stderr
        == "an endpoint has one namespace: give llama with -n, or -A without a name\n"
    )


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (Unreachable("GET /x", said="refused"), "no answer from the API server https://here (context home): refused; "),
        (Unreachable("GET /x", status=503, said="later"), "GET /x: later"),
        (Forbidden("GET /x", status=401, said="Unauthorized"), "does not know you"),
        (Forbidden("GET /x", status=403, said="x is forbidden"), "not allowed: x is forbidden; ask for a role"),
        (Refused("POST /x", status=422, said="bad"), "POST /x: bad"),
        (ClusterError("no"), "no"),
    ],
)
def test_each_failure_has_a_sentence(error: ClusterError, words: str) -> None:
    assert words in sentence(error, SERVER)


@pytest.mark.parametrize(
    ("here", "elsewhere", "end"),
    [
        (["llama", "mistral"], [], '; do you mean "llama"?'),
        (["llama"], ["prod"], "; there is one in prod: add -n prod"),
        (["b", "a"], [], "; it has a, b"),
        ([], [], ", which has none at all"),
    ],
)
def test_a_name_that_is_not_there_comes_with_a_suggestion(here: list[str], elsewhere: list[str], end: str) -> None:
    assert absence("team", "lama", here, elsewhere) == f'there is no LLMEndpoint "lama" in namespace team{end}'


@pytest.mark.parametrize("command", ["status", "explain", "history", "doctor"])
def test_the_help_says_how_to_name_the_cluster(command: str) -> None:
    text = run(command, "--help").output
    assert "--context" in text
    assert "--kubeconfig" in text
    assert "--namespace" in text

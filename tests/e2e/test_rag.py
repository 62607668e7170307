"""The RAG service of the examples on a real node, in both placements: answers, streams, and changes under streams."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from localcluster import images, product
from localcluster.cluster import Cluster
from localcluster.paths import ROOT
from localcluster.product import Load
from support.endpoints import engine_env
from support.kube import eventually, get
from support.loads import stopped

pytestmark = pytest.mark.e2e

NAME = "llm-twin"
NAMESPACES = {"llm-twin": "separate", "monolith": "sidecar"}
QUOTES = {"ENGINESIM_QUOTES": "1"}
ABOUT_ADA = "What did Ada Brandt write about cold starts?"
ABOUT_STREAMS = "How do I keep streams alive when a pod ends?"
# A service that starts loads its models and embeds its documents.
LONG = 240.0
QUESTIONS = (ABOUT_STREAMS, ABOUT_ADA, "How does a graph index find neighbours?")


@pytest.fixture(scope="module")
def served(cluster: Cluster) -> Iterator[Cluster]:
    """Both examples, with nothing changed but the image and the simulator's settings, and no scaler that interferes."""
    product.load_images(cluster, "rag")
    for example, namespace in NAMESPACES.items():
        body = yaml.safe_load((ROOT / "examples" / f"{example}.yaml").read_text())
        body["spec"]["business"]["image"] = images.image_name("rag")
        body["spec"]["engine"]["env"] = engine_env(**QUOTES)
        body["spec"]["scaling"]["mode"] = "Off"
        cluster.kubectl("create", "namespace", namespace)
        cluster.kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(body))
    for namespace in NAMESPACES.values():
        eventually(lambda namespace=namespace: serves(cluster, namespace, 1), LONG)
    yield cluster
    for namespace in NAMESPACES.values():
        cluster.kubectl("delete", "namespace", namespace, "--wait=false")


def serves(cluster: Cluster, namespace: str, replicas: int) -> bool:
    body = get(cluster, "llmendpoint", NAME, "-n", namespace)
    status = body["status"]
    ready = next(entry for entry in status["conditions"] if entry["type"] == "Ready")
    if ready["status"] != "True":
        raise RuntimeError(ready["message"])
    current = status["observedGeneration"] == body["metadata"]["generation"]
    return current and status["readyReplicas"] == status["replicas"] == replicas


def ask(cluster: Cluster, namespace: str, question: str) -> dict[str, Any]:
    """An answer through the endpoint's Service."""
    workload = "business" if namespace == NAMESPACES["llm-twin"] else "engine"
    url = f"http://{NAME}.{namespace}.svc.cluster.local"
    found: dict[str, Any] = json.loads(product.ask(cluster, namespace, f"deployment/{NAME}-{workload}", url, question))
    return found


def load(cluster: Cluster, namespace: str, name: str, *arguments: str) -> Load:
    url = f"http://{NAME}.{namespace}.svc.cluster.local"
    return Load(cluster, namespace, name, [url, *arguments, "--questions", *QUESTIONS])


def pods(cluster: Cluster, namespace: str) -> dict[str, list[str]]:
    """Names of the containers that stay, by pod."""
    selector = f"llmendpoint.dev/endpoint={NAME}"
    return {
        pod["metadata"]["name"]: [
            entry["name"] for entry in (*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"])
        ]
        for pod in get(cluster, "pods", "-n", namespace, "-l", selector)["items"]
    }


@pytest.mark.parametrize("namespace", NAMESPACES.values())
def test_an_answer_rests_on_sources_of_all_categories(served: Cluster, namespace: str) -> None:
    found = ask(served, namespace, ABOUT_STREAMS)
    assert found["sources"][0]["title"] == "drainbell"
    assert {source["category"] for source in found["sources"]} == {"posts", "articles", "repositories"}
    assert "[1]" in found["answer"]
    assert found["timings"]["total"] >= found["timings"]["generation"] > 0


@pytest.mark.parametrize("namespace", NAMESPACES.values())
def test_a_question_about_an_author_is_answered_from_that_author(served: Cluster, namespace: str) -> None:
    assert {source["author"] for source in ask(served, namespace, ABOUT_ADA)["sources"]} == {"Ada Brandt"}


@pytest.mark.parametrize("question", QUESTIONS)
def test_both_placements_give_the_same_answer(served: Cluster, question: str) -> None:
    separate, sidecar = (ask(served, namespace, question) for namespace in NAMESPACES.values())
    assert (separate["answer"], separate["sources"]) == (sidecar["answer"], sidecar["sources"])


@pytest.mark.parametrize("namespace", NAMESPACES.values())
def test_answers_are_streamed_through_the_service(served: Cluster, namespace: str) -> None:
    streams = stopped(load(served, namespace, "few", "--concurrency=2", "--seconds=600"), at_least=3)["streams"]
    # Tokens come while the answer is written, which takes a second at least.
    assert streams["totalP50"] - streams["ttftP50"] > 0.5


def test_one_switch_decides_what_runs(served: Cluster) -> None:
    separate, sidecar = (pods(served, namespace) for namespace in NAMESPACES.values())
    assert sorted(separate.values()) == [["business"], ["engine"]]
    assert list(sidecar.values()) == [["engine", "business"]]
    scalers = [get(served, "hpa", "-n", namespace).get("items", []) for namespace in NAMESPACES.values()]
    assert [len(found) for found in scalers] == [1, 0]
    spec = scalers[0][0]["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"], spec["scaleTargetRef"]["name"]) == (1, 4, f"{NAME}-business")


@pytest.mark.parametrize("namespace", NAMESPACES.values())
def test_a_roll_out_and_a_scale_in_of_engines_cut_no_answer(served: Cluster, namespace: str) -> None:
    client = load(served, namespace, "many", "--rate=0.7", "--seconds=600")
    served.kubectl("scale", "llmendpoint", NAME, "-n", namespace, "--replicas=2")
    eventually(lambda: serves(served, namespace, 2), LONG)
    time.sleep(5)  # both have answers to give
    served.kubectl("scale", "llmendpoint", NAME, "-n", namespace, "--replicas=1")
    eventually(lambda: len([names for names in pods(served, namespace).values() if "engine" in names]) == 1, LONG)
    before = set(pods(served, namespace))
    patch = {"spec": {"engine": {"env": engine_env(**QUOTES, RELEASE="2")}}}
    served.kubectl("patch", "llmendpoint", NAME, "-n", namespace, "--type=merge", "-p", json.dumps(patch))
    engines = {name for name in before if "engine" in name}
    eventually(lambda: not engines & set(pods(served, namespace)), LONG)
    stopped(client, at_least=21)


def test_its_image_has_nothing_to_run_but_python(served: Cluster) -> None:
    inside = ("exec", f"deployment/{NAME}-business", "-n", NAMESPACES["llm-twin"], "--")
    refused = served.kubectl(*inside, "/bin/sh", check=False)
    assert "no such file or directory" in refused.stderr
    assert served.kubectl(*inside, "python3", "-c", "import os; print(os.getuid())").stdout == "65532\n"

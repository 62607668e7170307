"""Bad objects are refused by the API server, each with a sentence that says what to change."""

import json
from typing import Any

import pytest

from localcluster.cluster import Cluster
from support import bad_batches
from support.bad_objects import BAD, GOOD, changed

pytestmark = pytest.mark.apiserver
CREATE = ("create", "--dry-run=server", "--validate=strict", "-f", "-")
APPLY = ("apply", "--server-side", "--validate=strict", "-f", "-")


def refused(apiserver: Cluster, body: dict[str, Any], command: tuple[str, ...] = CREATE) -> str:
    """What the API server says of a bad object."""
    done = apiserver.kubectl(*command, stdin=json.dumps(body), check=False)
    assert done.returncode != 0, "it was accepted"
    return done.stderr


@pytest.mark.parametrize(("path", "value", "sentence"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_a_bad_object_is_refused_with_a_sentence(apiserver: Cluster, path: str, value: Any, sentence: str) -> None:
    assert sentence in refused(apiserver, changed(path, value))


def test_the_good_one_is_accepted(apiserver: Cluster) -> None:
    assert len(BAD) >= 40
    apiserver.kubectl(*CREATE, stdin=json.dumps(GOOD))


@pytest.mark.parametrize(
    ("path", "value", "sentence"), [case[1:] for case in bad_batches.BAD], ids=[case[0] for case in bad_batches.BAD]
)
def test_a_bad_batch_is_refused_with_a_sentence(apiserver: Cluster, path: str, value: Any, sentence: str) -> None:
    assert sentence in refused(apiserver, changed(path, value, bad_batches.GOOD))


def test_of_a_batch_its_end_and_its_pause_alone_can_be_changed(apiserver: Cluster) -> None:
    apiserver.kubectl(*APPLY, stdin=json.dumps(bad_batches.GOOD))
    for path, value in bad_batches.FIXED:
        body = changed(path, value, bad_batches.GOOD)
        if path == "spec.endpointRef" and value is None:
            body["spec"]["endpoint"] = bad_batches.OWN
        assert "only suspend and ttlSecondsAfterFinished can be changed" in refused(apiserver, body, APPLY), path
    for path, value in (("spec.suspend", True), ("spec.ttlSecondsAfterFinished", 5)):
        apiserver.kubectl(*APPLY, stdin=json.dumps(changed(path, value, bad_batches.GOOD)))
    apiserver.kubectl("delete", "llmbatch", "good", "-n", "default")


def test_the_engines_of_a_batch_can_not_be_changed(apiserver: Cluster) -> None:
    spec = {**bad_batches.FILES, "endpoint": bad_batches.OWN}
    own = {**bad_batches.GOOD, "metadata": {"name": "own", "namespace": "default"}, "spec": spec}
    apiserver.kubectl(*APPLY, stdin=json.dumps(own))
    for path, value in (("spec.endpoint.replicas", 3), ("spec.endpoint.model.revision", "v2")):
        assert "only suspend and ttlSecondsAfterFinished" in refused(apiserver, changed(path, value, own), APPLY)
    apiserver.kubectl("delete", "llmbatch", "own", "-n", "default")


def test_explain_reads_well(apiserver: Cluster) -> None:
    text = apiserver.kubectl("explain", "llmendpoint.spec.scaling").stdout
    assert "kubectl scale, an HPA or KEDA can" in " ".join(text.split())
    assert "maxReplicas\t<integer> -required-" in text

"""Bad objects are refused by the API server, each with a sentence that says what to change."""

import json
from typing import Any

import pytest

from localcluster.cluster import Cluster
from support.bad_objects import BAD, GOOD, changed


@pytest.mark.apiserver
@pytest.mark.parametrize(("path", "value", "sentence"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_a_bad_object_is_refused_with_a_sentence(apiserver: Cluster, path: str, value: Any, sentence: str) -> None:
    body = json.dumps(changed(path, value))
    done = apiserver.kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", stdin=body, check=False)
    assert done.returncode != 0, "it was accepted"
    assert sentence in done.stderr


@pytest.mark.apiserver
def test_the_good_one_is_accepted(apiserver: Cluster) -> None:
    assert len(BAD) >= 40
    apiserver.kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", stdin=json.dumps(GOOD))


@pytest.mark.apiserver
def test_explain_reads_well(apiserver: Cluster) -> None:
    text = apiserver.kubectl("explain", "llmendpoint.spec.scaling").stdout
    assert "kubectl scale, an HPA or KEDA can" in " ".join(text.split())
    assert "maxReplicas\t<integer> -required-" in text

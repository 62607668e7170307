"""An LLMEndpoint as it is read from the API server's JSON."""

import pytest
from pydantic import ValidationError

from llmendpoint.api.endpoint import Endpoint
from llmendpoint.api.status import Condition, EndpointStatus
from support.builders import endpoint_object


def test_the_defaults_are_those_of_the_crd() -> None:
    read = Endpoint.from_object(endpoint_object())
    assert (read.name, read.namespace, read.uid, read.generation, read.deleting) == (
        "llama",
        "team",
        "uid-llama",
        1,
        False,
    )
    assert (read.spec.engine.type, read.spec.engine.replica_resources.limits) == ("vLLM", {"nvidia.com/gpu": 1})
    assert (read.spec.business, read.spec.scaling, read.spec.replicas) == (None, None, None)
    assert read.status == EndpointStatus()


def test_what_is_null_is_as_good_as_absent() -> None:
    body = endpoint_object(scaling=None)
    body["status"] = None
    assert Endpoint.from_object(body) == Endpoint.from_object(endpoint_object())


def test_an_object_without_what_the_api_server_adds_is_read_as_well() -> None:
    """As from a file, before it was ever created."""
    read = Endpoint.from_object({"metadata": {"name": "llama"}, "spec": {"model": {"source": "hf://acme/llama"}}})
    assert (read.namespace, read.uid, read.generation) == ("default", "", 0)


def test_an_object_on_its_way_out_says_so() -> None:
    body = endpoint_object()
    body["metadata"]["deletionTimestamp"] = "2025-06-15T15:00:00Z"
    assert Endpoint.from_object(body).deleting


def test_fields_of_a_newer_crd_are_ignored() -> None:
    body = endpoint_object(speculation={"draft": "hf://acme/tiny"}, engine={"type": "TGI", "turbo": True})
    assert Endpoint.from_object(body).spec.engine.type == "TGI"


@pytest.mark.parametrize(
    "spec",
    [
        {"model": None},
        {"engine": {"type": "llama.cpp"}},
        {"scaling": {"maxReplicas": "many"}},
        {"replicas": -1},
        {"business": {}},
    ],
)
def test_an_object_of_an_older_crd_that_can_not_be_read_is_an_error(spec: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Endpoint.from_object(endpoint_object(**spec))


def test_a_spec_is_written_as_it_was_read() -> None:
    spec = {
        "model": {"source": "hf://acme/llama", "servedName": "tiny"},
        "business": {"image": "rag:1", "replicas": {"min": 1, "max": 4, "targetCPUUtilization": 50}},
    }
    written = Endpoint.from_object(endpoint_object(**spec)).spec.to_wire()
    assert written["model"] == spec["model"]
    assert written["business"]["replicas"] == {"min": 1, "max": 4, "targetCPUUtilization": 50}
    assert "scaling" not in written


def test_a_status_is_read_as_it_was_written() -> None:
    condition = Condition(
        type="Ready", status="True", reason="R", message="m", last_transition_time="2025-06-15T15:00:00Z"
    )
    status = EndpointStatus(observed_generation=3, replicas=2, conditions=[condition])
    assert Endpoint.from_object(endpoint_object(status=status.to_wire())).status == status

"""The user's pod template over the operator's, as kubectl patch --type=strategic would merge them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmendpoint.manifests import ManifestDefaults, children, problems
from llmendpoint.manifests.pod_template import strategic_merge
from support.builders import endpoint

MERGES: list[tuple[str, Any, Any, Any]] = [
    # what, base, patch, result
    ("a new field is added", {"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
    ("a value is replaced", {"a": 1}, {"a": 2}, {"a": 2}),
    ("maps are merged", {"m": {"a": 1, "b": 1}}, {"m": {"b": 2}}, {"m": {"a": 1, "b": 2}}),
    ("null deletes", {"m": {"a": 1, "b": 1}}, {"m": {"b": None}}, {"m": {"a": 1}}),
    ("null of an absent field is nothing", {"a": 1}, {"b": None}, {"a": 1}),
    ("a map takes the place of a value", {"a": 1}, {"a": {"b": 2}}, {"a": {"b": 2}}),
    ("a list without a merge key is replaced", {"args": ["a", "b"]}, {"args": ["c"]}, {"args": ["c"]}),
    (
        "tolerations have no merge key",
        {"tolerations": [{"key": "a", "operator": "Exists"}]},
        {"tolerations": [{"key": "b"}]},
        {"tolerations": [{"key": "b"}]},
    ),
    (
        "containers are merged by name",
        {"containers": [{"name": "engine", "image": "i"}]},
        {"containers": [{"name": "proxy", "image": "p"}, {"name": "engine", "tty": True}]},
        {"containers": [{"name": "engine", "image": "i", "tty": True}, {"name": "proxy", "image": "p"}]},
    ),
    (
        "environment is merged by name, within a container that is merged by name",
        {"containers": [{"name": "engine", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "1"}]}]},
        {"containers": [{"name": "engine", "env": [{"name": "B", "value": "2"}]}]},
        {"containers": [{"name": "engine", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}]},
    ),
    (
        "ports are merged by containerPort",
        {"ports": [{"containerPort": 8000, "name": "http"}]},
        {"ports": [{"containerPort": 8000, "hostPort": 80}, {"containerPort": 9}]},
        {"ports": [{"containerPort": 8000, "name": "http", "hostPort": 80}, {"containerPort": 9}]},
    ),
    (
        "volume mounts are merged by path, not by volume",
        {"volumeMounts": [{"mountPath": "/cache", "name": "cache"}]},
        {"volumeMounts": [{"mountPath": "/data", "name": "cache"}, {"mountPath": "/cache", "subPath": "x"}]},
        {
            "volumeMounts": [
                {"mountPath": "/cache", "name": "cache", "subPath": "x"},
                {"mountPath": "/data", "name": "cache"},
            ]
        },
    ),
    (
        "a volume changes its type where null takes the old one away",
        {"volumes": [{"name": "cache", "emptyDir": {}}]},
        {"volumes": [{"name": "cache", "emptyDir": None, "hostPath": {"path": "/models"}}]},
        {"volumes": [{"name": "cache", "hostPath": {"path": "/models"}}]},
    ),
    (
        "an entry is deleted by directive",
        {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "1"}]},
        {"env": [{"name": "A", "$patch": "delete"}, {"name": "C", "$patch": "delete"}]},
        {"env": [{"name": "B", "value": "1"}]},
    ),
    (
        "a keyed list that was not there is taken",
        {},
        {"initContainers": [{"name": "a"}]},
        {"initContainers": [{"name": "a"}]},
    ),
]


@pytest.mark.parametrize(("base", "patch", "result"), [case[1:] for case in MERGES], ids=[case[0] for case in MERGES])
def test_a_patch_is_merged_strategically(base: Any, patch: Any, result: Any) -> None:
    assert strategic_merge(base, patch) == result


def test_a_merge_changes_neither_side() -> None:
    base = {"containers": [{"name": "engine", "env": [{"name": "A", "value": "1"}]}]}
    patch = {"containers": [{"name": "engine", "env": [{"name": "A", "value": "2"}]}]}
    strategic_merge(base, patch)
    assert base == {"containers": [{"name": "engine", "env": [{"name": "A", "value": "1"}]}]}
    assert patch == {"containers": [{"name": "engine", "env": [{"name": "A", "value": "2"}]}]}


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        ({"spec": "x"}, "engine.podTemplate.spec must be an object"),
        ({"metadata": []}, "engine.podTemplate.metadata must be an object"),
        ({"metadata": {"labels": "a=b"}}, "engine.podTemplate.metadata.labels must be an object"),
        ({"spec": {"containers": ["engine"]}}, "engine.podTemplate.spec.containers[0] must be an object with a name"),
        ({"spec": {"volumes": [{"emptyDir": {}}]}}, "engine.podTemplate.spec.volumes[0] must be an object with a name"),
        (
            {"spec": {"containers": [{"name": "engine"}, {"name": "b", "env": [{"name": ["A"]}]}]}},
            "engine.podTemplate.spec.containers[1].env[0] must be an object with a name",
        ),
    ],
)
def test_a_template_that_can_not_be_merged_is_a_problem(template: Any, sentence: str) -> None:
    (found,) = problems(endpoint(engine={"podTemplate": template}), ManifestDefaults())
    assert found.startswith(sentence)


@pytest.mark.parametrize(
    "template", [{"metadata": None}, {"metadata": {"labels": None}}, {"metadata": {"labels": {"team": "a"}}}]
)
def test_the_pods_keep_their_selector_whatever_the_template_says(template: Any) -> None:
    made = children(endpoint(engine={"podTemplate": template}), ManifestDefaults())
    engine = next(body for body in made if body["kind"] == "Deployment")
    assert engine["spec"]["selector"]["matchLabels"].items() <= engine["spec"]["template"]["metadata"]["labels"].items()


def of_engine(**fields: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "engine", **fields}]}}


BROKEN: list[tuple[Any, str]] = [
    ({"spec": {"terminationGracePeriodSeconds": 1}}, "must leave spec.terminationGracePeriodSeconds at 65 or more"),
    ({"spec": {"terminationGracePeriodSeconds": None}}, "must leave spec.terminationGracePeriodSeconds at 65 or more"),
    ({"spec": {"enableServiceLinks": True}}, "must leave spec.enableServiceLinks false"),
    ({"spec": {"enableServiceLinks": None}}, "must leave spec.enableServiceLinks false"),
    ({"spec": {"initContainers": 1}}, "must have a list at spec.initContainers"),
    (of_engine(**{"$patch": "delete"}), "must keep container engine"),
    ({"spec": {"containers": [{"name": "business", "$patch": "delete"}]}}, "must keep container business"),
    (of_engine(args=["acme/llama"]), "must not change args of container engine: use engine.args"),
    (of_engine(args=None), "must not change args of container engine: use engine.args"),
    (of_engine(command=["sh", "-c"]), "must not change command of container engine: use engine.args"),
    (of_engine(lifecycle=None), "must keep lifecycle.preStop.sleep of container engine at 5 s or more"),
    (
        of_engine(lifecycle={"preStop": {"sleep": {"seconds": 4}}}),
        "must keep lifecycle.preStop.sleep of container engine at 5 s or more",
    ),
    (
        of_engine(lifecycle={"preStop": {"sleep": None, "exec": {"command": ["true"]}}}),
        "must keep lifecycle.preStop.sleep of container engine at 5 s or more",
    ),
    (of_engine(startupProbe=None), "must keep startupProbe of container engine"),
    (of_engine(readinessProbe=None), "must keep readinessProbe of container engine"),
    (of_engine(ports=[{"containerPort": 8000, "name": "api"}]), "must keep port http (8000) of container engine"),
    (of_engine(ports=None), "must keep port http (8000) of container engine"),
    (of_engine(env=[{"name": "VLLM_API_KEY", "value": "x"}]), "must not change VLLM_API_KEY of container engine"),
    (
        of_engine(env=[{"name": "VLLM_ENGINE_READY_TIMEOUT_S", "$patch": "delete"}]),
        "must not change VLLM_ENGINE_READY_TIMEOUT_S of container engine",
    ),
]


@pytest.mark.parametrize(("template", "sentence"), BROKEN)
def test_a_template_that_breaks_the_engine_is_a_problem(template: Any, sentence: str) -> None:
    business = {"image": "rag", "port": 8001, "placement": "Sidecar"}
    (found,) = problems(endpoint(business=business, engine={"podTemplate": template}), ManifestDefaults())
    assert found.startswith(f"engine.podTemplate {sentence}")


@pytest.mark.parametrize(
    "template",
    [
        {"spec": {"terminationGracePeriodSeconds": 600, "shareProcessNamespace": True}},
        of_engine(lifecycle={"preStop": {"sleep": {"seconds": 20}}}, env=[{"name": "NCCL_DEBUG", "value": "INFO"}]),
        of_engine(livenessProbe=None, startupProbe={"periodSeconds": 10}, ports=[{"containerPort": 9000}]),
        {"spec": {"containers": [{"name": "proxy", "image": "p"}]}},
    ],
)
def test_a_template_that_tunes_the_engine_is_none(template: Any) -> None:
    assert problems(endpoint(engine={"podTemplate": template}), ManifestDefaults()) == []


KEYS = st.sampled_from(
    ["labels", "containers", "env", "ports", "name", "containerPort", "lifecycle", "$patch", "other"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.just("engine"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
CONTAINER = st.fixed_dictionaries(
    {"name": st.just("engine") | JSON}, optional={"env": JSON, "ports": JSON, "lifecycle": JSON}
)
SPEC = st.fixed_dictionaries(
    {}, optional={"containers": JSON | st.lists(CONTAINER, max_size=2), "initContainers": JSON}
)


@given(
    st.fixed_dictionaries({}, optional={"metadata": JSON, "spec": JSON | SPEC, "other": JSON}),
    st.sampled_from(["Separate", "Sidecar"]),
)
def test_any_template_is_merged_or_reported(template: dict[str, Any], placement: str) -> None:
    business = {"image": "rag", "port": 8001, "placement": placement}
    made = endpoint(engine={"podTemplate": template}, business=business)
    assert problems(made, ManifestDefaults()) or children(made, ManifestDefaults())

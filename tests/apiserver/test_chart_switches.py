"""The chart's switches: off, they leave no trace; on, each object says what it should."""

import json
from typing import Any

import jsonschema
import pytest
import yaml

import install_yaml
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.cli import validation
from llmendpoint.manifests import ManifestDefaults, children
from llmendpoint.manifests.common import BATCH_IMAGE, FETCH_IMAGE
from localcluster import product, tools
from localcluster.commands import run
from localcluster.errors import LocalClusterError
from localcluster.paths import ROOT
from support.chart import Manifest, of_kind, rendered

pytestmark = pytest.mark.apiserver
SCHEMA = json.loads((product.CHART / "values.schema.json").read_text())
SELECTOR = {"app.kubernetes.io/name": "llmendpoint-operator", "app.kubernetes.io/instance": product.RELEASE}
SWITCHES = {
    "metricsService": [("Service", "llmendpoint-operator-metrics")],
    "podMonitor": [("PodMonitor", "llmendpoint-operator")],
    "enginePodMonitor": [("PodMonitor", "llmendpoint-operator-engines")],
    "prometheusRule": [("PrometheusRule", "llmendpoint-operator")],
    "grafanaDashboards": [
        ("ConfigMap", "llmendpoint-operator-endpoint-dashboard"),
        ("ConfigMap", "llmendpoint-operator-overview-dashboard"),
    ],
    "networkPolicy": [("NetworkPolicy", "llmendpoint-operator")],
}


@pytest.fixture(scope="module", autouse=True)
def helm() -> None:
    tools.ensure(tools.HELM)


def identity(body: Manifest) -> tuple[str, str]:
    return body["kind"], body["metadata"]["name"]


def one(kind: str, **values: Any) -> Manifest:
    (body,) = of_kind(rendered(**values), kind)
    return body


def operator_pod() -> Manifest:
    pod: Manifest = one("Deployment")["spec"]["template"]
    return pod


@pytest.mark.parametrize(("switch", "made"), SWITCHES.items())
def test_a_switch_adds_its_objects_and_changes_no_other(switch: str, made: list[tuple[str, str]]) -> None:
    without, with_it = rendered(), rendered(**{switch: {"enabled": True}})
    assert [body for body in with_it if identity(body) not in made] == without
    assert sorted(identity(body) for body in with_it if body not in without) == made
    for body in with_it:
        assert body["kind"] == "CustomResourceDefinition" or body["metadata"]["labels"].items() >= SELECTOR.items()


def test_every_switch_is_tested() -> None:
    assert set(SWITCHES) == {name for name, schema in SCHEMA["properties"].items() if "enabled" in str(schema)}


def test_the_operator_is_collected_on_a_port_that_it_has_with_its_own_labels() -> None:
    spec = one("PodMonitor", podMonitor={"enabled": True, "labels": {"release": "prometheus"}, "interval": "15s"})[
        "spec"
    ]
    assert operator_pod()["metadata"]["labels"].items() >= spec["selector"]["matchLabels"].items()
    assert spec["podMetricsEndpoints"] == [{"port": "http", "path": "/metrics", "interval": "15s", "honorLabels": True}]
    assert "http" in [port["name"] for port in operator_pod()["spec"]["containers"][0]["ports"]]


def test_the_prometheus_operator_knows_every_field() -> None:
    tools.ensure(tools.MONITORING)
    bodies = rendered(**{switch: {"enabled": True} for switch in SWITCHES}, watchNamespaces=["a"])
    found = of_kind(bodies, "PodMonitor") + of_kind(bodies, "PrometheusRule")
    assert len(found) == 3
    run([tools.program("monitoring")], stdin=yaml.safe_dump_all(found))
    found[0]["spec"]["podMetricsEndpoints"][0]["honourLabels"] = True
    with pytest.raises(LocalClusterError, match="honourLabels"):
        run([tools.program("monitoring")], stdin=yaml.safe_dump_all(found))


@pytest.mark.parametrize("example", ["llm-twin", "monolith", "vllm"])
def test_engines_are_collected_on_a_port_that_they_have_and_nothing_else_is(example: str) -> None:
    spec = one("PodMonitor", enginePodMonitor={"enabled": True})["spec"]
    body = yaml.safe_load((ROOT / "examples" / f"{example}.yaml").read_text())
    body["metadata"] |= {"namespace": "default", "uid": "u"}
    made = children(Endpoint.from_object(body), ManifestDefaults({}, False))
    pods = [child["spec"]["template"] for child in made if child["kind"] == "Deployment"]
    wanted = spec["selector"]["matchLabels"].items()
    (engine,) = [pod for pod in pods if pod["metadata"]["labels"].items() >= wanted]
    # Prometheus finds the ports of init containers too: in a Sidecar the engine is one that goes on.
    containers = engine["spec"]["containers"] + engine["spec"].get("initContainers", [])
    ports = {port["name"]: container["name"] for container in containers for port in container.get("ports", [])}
    assert ports[spec["podMetricsEndpoints"][0]["port"]] == "engine"
    assert spec["podTargetLabels"] == ["llmendpoint.dev/endpoint"]
    assert spec["namespaceSelector"] == {"any": True}


def test_a_confined_operator_collects_the_engines_of_its_namespaces() -> None:
    spec = one("PodMonitor", enginePodMonitor={"enabled": True}, watchNamespaces=["a", "b"])["spec"]
    assert spec["namespaceSelector"] == {"matchNames": ["a", "b"]}


def test_alerts_are_those_of_the_file_with_links_to_their_runbooks() -> None:
    where = "https://runbooks.test/llm"
    body = one("PrometheusRule", prometheusRule={"enabled": True, "labels": {"release": "x"}, "runbookURL": where})
    assert body["metadata"]["labels"]["release"] == "x"
    text = (product.CHART / "files" / "alerts.yaml").read_text()
    assert body["spec"] == yaml.safe_load(text.replace("docs/runbooks", where))
    links = [rule["annotations"]["runbook_url"] for group in body["spec"]["groups"] for rule in group["rules"]]
    assert f"{where}/LLMEndpointNotReady.md" in links


def test_traces_are_sent_where_a_collector_is_named() -> None:
    def settings(**values: Any) -> dict[str, str]:
        (container,) = one("Deployment", **values)["spec"]["template"]["spec"]["containers"]
        return {entry["name"]: entry["value"] for entry in container["env"] if entry["name"].startswith("OTEL_")}

    assert settings() == {}
    assert settings(tracing={"endpoint": "http://collector:4318", "ratio": 0.1}) == {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0.1",
    }


def test_dashboards_are_those_of_the_files() -> None:
    values = {"enabled": True, "annotations": {"grafana_folder": "LLM"}}
    for body in of_kind(rendered(grafanaDashboards=values), "ConfigMap"):
        ((name, text),) = body["data"].items()
        assert json.loads(text) == json.loads((product.CHART / "files" / "dashboards" / name).read_text())
        assert body["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert body["metadata"]["annotations"] == {"grafana_folder": "LLM"}


READ_BY_OPERATOR = {
    "matchExpressions": [
        {
            "key": "llmendpoint.dev/component",
            "operator": "In",
            "values": ["engine", "activator", "queue", "batch", "prefetch"],
        }
    ]
}


def test_the_network_policy_lets_through_what_the_operator_needs_and_nothing_else() -> None:
    spec = one("NetworkPolicy", networkPolicy={"enabled": True})["spec"]
    assert operator_pod()["metadata"]["labels"].items() >= spec["podSelector"]["matchLabels"].items()
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert spec["ingress"] == [{"ports": [{"port": "http"}]}]
    assert spec["egress"] == [
        {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]},
        {"ports": [{"port": 443, "protocol": "TCP"}, {"port": 6443, "protocol": "TCP"}]},
        {"to": [{"namespaceSelector": {}, "podSelector": READ_BY_OPERATOR}]},
        {"to": [{"namespaceSelector": {}}], "ports": [{"port": 9090, "protocol": "TCP"}]},
    ]


def test_the_network_policy_is_narrowed_and_widened_by_values() -> None:
    values = {
        "enabled": True,
        "apiServer": {"cidrs": ["10.0.0.1/32"], "ports": [6443]},
        "prometheusPorts": [],
        "metricsFrom": [{"podSelector": {"matchLabels": {"app": "prometheus"}}}],
        "extraEgress": [{"ports": [{"port": 9090}]}],
    }
    spec = one("NetworkPolicy", networkPolicy=values, watchNamespaces=["a"])["spec"]
    assert spec["ingress"][0]["from"] == values["metricsFrom"]
    _, api, engines, extra = spec["egress"]
    assert api == {"ports": [{"port": 6443, "protocol": "TCP"}], "to": [{"ipBlock": {"cidr": "10.0.0.1/32"}}]}
    assert engines["to"][0]["namespaceSelector"] == {
        "matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["a"]}]
    }
    assert extra == {"ports": [{"port": 9090}]}


def test_the_schema_is_strict_and_describes_every_value() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)

    def walk(schema: Manifest, where: str) -> None:
        for name, part in schema.get("properties", {}).items():
            assert part.get("description", "").endswith("."), f"{where}.{name} has no description"
            walk(part, f"{where}.{name}")
        if "properties" in schema:
            assert schema["additionalProperties"] is False, where
        elif schema.get("type") == "object" and where != ".global":
            assert "additionalProperties" in schema, where
        if "items" in schema:
            walk(schema["items"], f"{where}[]")

    walk(SCHEMA, "")
    for name, part in SCHEMA["$defs"].items():
        walk(part, name)


def test_the_default_values_are_valid_and_all_there() -> None:
    values = yaml.safe_load((product.CHART / "values.yaml").read_text())
    jsonschema.validate(values, SCHEMA)
    assert set(values) == set(SCHEMA["properties"]) - {"global"}


def test_the_file_for_kubectl_has_the_chart_and_its_namespace() -> None:
    namespace, *others = list(yaml.safe_load_all(install_yaml.text()))
    assert identity(namespace) == ("Namespace", product.NAMESPACE)
    assert [body for body in others if body] == rendered()


def test_the_annotations_for_artifact_hub_say_what_the_chart_holds() -> None:
    chart = yaml.safe_load((product.CHART / "Chart.yaml").read_text())
    notes = chart["annotations"]
    crds = of_kind(rendered(), "CustomResourceDefinition")
    for crd, listed in zip(crds, yaml.safe_load(notes["artifacthub.io/crds"]), strict=True):
        assert (listed["kind"], listed["name"]) == (crd["spec"]["names"]["kind"], crd["metadata"]["name"])
        assert listed["version"] in [version["name"] for version in crd["spec"]["versions"]]
    images = {entry["name"]: entry["image"] for entry in yaml.safe_load(notes["artifacthub.io/images"])}
    (container,) = operator_pod()["spec"]["containers"]
    assert images.pop("operator") == container["image"]
    made = {entry["value"] for entry in container["env"] if entry["name"].endswith("_IMAGE")}
    assert {container["image"], *images.values()} == made
    for example in yaml.safe_load(notes["artifacthub.io/crdsExamples"]):
        assert validation.problems(example) == []


@pytest.mark.parametrize(
    ("value", "variable", "built_in"),
    [("batchImage", "BATCH_IMAGE", BATCH_IMAGE), ("fetchImage", "FETCH_IMAGE", FETCH_IMAGE)],
)
def test_pods_of_our_own_run_the_image_of_the_values(value: str, variable: str, built_in: str) -> None:
    def image(**values: Any) -> str:
        (container,) = one("Deployment", **values)["spec"]["template"]["spec"]["containers"]
        return next(entry["value"] for entry in container["env"] if entry["name"] == f"LLMENDPOINT_{variable}")

    assert image() == built_in
    assert image(**{value: "mirror.test/it:2"}) == "mirror.test/it:2"

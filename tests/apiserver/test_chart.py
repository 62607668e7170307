"""The chart: lint, values that are refused with a sentence, and manifests that a real API server takes."""

import json
from typing import Any

import pytest

from localcluster import product, tools
from localcluster.cluster import Cluster
from localcluster.commands import run
from localcluster.errors import LocalClusterError
from support.chart import rendered
from support.kube import eventually

pytestmark = pytest.mark.apiserver
CHART = str(product.CHART)


@pytest.fixture(scope="module", autouse=True)
def helm() -> None:
    tools.ensure(tools.HELM)


def kinds(bodies: list[dict[str, Any]]) -> set[str]:
    return {body["kind"] for body in bodies}


def test_it_has_no_lint() -> None:
    run([tools.program("helm"), "lint", "--strict", CHART])


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"watchNamespaces": ["default"], "crds": {"install": False}},
        {
            "imagePullSecrets": [{"name": "regcred"}],
            "nodeSelector": {"a": "b"},
            "tolerations": [{"operator": "Exists"}],
        },
        {"replicas": 1, "leaderElection": {"leaseDurationSeconds": 15, "renewDeadlineSeconds": 10, "retrySeconds": 2}},
        {"engineImages": {"vLLM": "mirror.test/vllm:1"}, "engineImageOverride": True, "logFormat": "console"},
        {
            "metricsService": {"enabled": True, "annotations": {"prometheus.io/scrape": "true"}},
            "grafanaDashboards": {"enabled": True, "annotations": {"grafana_folder": "LLM"}},
            "networkPolicy": {
                "enabled": True,
                "apiServer": {"cidrs": ["10.0.0.1/32"]},
                "metricsFrom": [{"namespaceSelector": {"matchLabels": {"team": "monitoring"}}}],
                "extraEgress": [{"to": [{"ipBlock": {"cidr": "192.0.2.1/32"}}], "ports": [{"port": 9090}]}],
            },
        },
        {"networkPolicy": {"enabled": True}, "watchNamespaces": ["default"]},
    ],
    ids=[
        "defaults",
        "one namespace",
        "placement",
        "one replica",
        "mirror",
        "observed and confined",
        "confined to one namespace",
    ],
)
def test_a_real_api_server_takes_what_it_makes(apiserver: Cluster, values: dict[str, Any]) -> None:
    apiserver.kubectl("create", "namespace", "llmendpoint-system", check=False)
    for body in rendered(**values):
        done = apiserver.kubectl(
            "apply", "--server-side", "--dry-run=server", "--validate=strict", "--force-conflicts", "-f", "-",
            stdin=json.dumps(body), check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


def test_one_namespace_needs_no_cluster_role() -> None:
    assert "ClusterRole" in kinds(rendered())
    assert kinds(rendered(watchNamespaces=["a", "b"])) & {"ClusterRole", "ClusterRoleBinding"} == set()


@pytest.mark.parametrize(
    ("role", "verbs"),
    [
        ("view", {"get"}),
        ("edit", {"get", "create", "patch", "delete"}),
        ("admin", {"get", "create", "patch", "delete"}),
    ],
)
def test_the_roles_of_a_namespace_cover_its_endpoints_and_batches(
    apiserver: Cluster, role: str, verbs: set[str]
) -> None:
    for body in rendered():
        if body["kind"] == "ClusterRole":
            apiserver.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(body))
    who = f"somebody-of-{role}"
    apiserver.kubectl("create", "rolebinding", who, "-n", "default", f"--clusterrole={role}", f"--user={who}")

    def allowed(verb: str, subresource: str = "", plural: str = "llmendpoints") -> bool:
        asked = ("auth", "can-i", verb, plural, f"--subresource={subresource}", "-n", "default", f"--as={who}")
        return apiserver.kubectl(*asked, check=False).stdout.strip() == "yes"

    for plural in ("llmendpoints", "llmbatches"):
        eventually(
            lambda plural=plural: (
                {verb for verb in ("get", "create", "patch", "delete") if allowed(verb, plural=plural)} == verbs
            )
        )
        assert not allowed("patch", "status", plural)
    assert allowed("patch", "scale") == ("patch" in verbs)


def test_the_role_has_no_wildcard_and_reads_no_secret() -> None:
    rules = [rule for body in rendered() if body["kind"] == "ClusterRole" for rule in body["rules"]]
    granted = {(resource, verb) for rule in rules for resource in rule["resources"] for verb in rule["verbs"]}
    assert not [pair for pair in granted if "*" in pair or pair[0] == "secrets"]


def test_a_budget_guards_the_replicas_where_there_are_several() -> None:
    assert "PodDisruptionBudget" in kinds(rendered())
    assert "PodDisruptionBudget" not in kinds(rendered(replicas=1))


def test_the_operator_may_write_its_own_lease_only() -> None:
    rules = [rule for body in rendered() if body["kind"] in {"Role", "ClusterRole"} for rule in body["rules"]]
    assert [rule for rule in rules if "leases" in rule["resources"]] == [
        {
            "apiGroups": ["coordination.k8s.io"],
            "resources": ["leases"],
            "resourceNames": ["llmendpoint-operator"],
            "verbs": ["get", "update"],
        },
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]},
    ]


def test_the_operator_runs_restricted() -> None:
    pod = next(body for body in rendered() if body["kind"] == "Deployment")["spec"]["template"]["spec"]
    container = pod["containers"][0]["securityContext"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"tickSeconds": 0}, "tickSeconds"),
        ({"logLevel": "chatty"}, "logLevel"),
        ({"replicas": 0}, "replicas"),
        ({"replica": 2}, "replica"),
        ({"leaderElection": {"leaseDurationSeconds": 2}}, "leaseDurationSeconds"),
        ({"engineImages": {"vllm": "x"}}, "vllm"),
        ({"networkPolicy": {"metricsFrom": [{"podSelector": {"labels": {}}}]}}, "labels"),
        ({"podMonitor": {"interval": "often"}}, "interval"),
        ({"tolerations": [{"effect": "NoShedule"}]}, "NoShedule|effect"),
    ],
)
def test_wrong_values_are_refused(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(LocalClusterError, match=sentence):
        rendered(**values)

"""The operator under the chart's own account: what it asks for is granted, and nothing is granted that it does not use.

One cluster, in which the chart's roles are first those of all namespaces and then those of some. The API server's audit
log says what the operator asked for, and its access reviews what the account may and may not do.
"""

import asyncio
import itertools
import json
import os
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from llmendpoint.cli.checks.permissions import NEEDED, review
from llmendpoint.cluster.client import Cluster as Api
from llmendpoint.cluster.fence import Fence
from llmendpoint.cluster.kinds import HTTP_ROUTE, INFERENCE_POOL, LEADER_WORKER_SET
from llmendpoint.reconcile.plan import NEVER_READY_GRACE_SECONDS
from localcluster import product, tools
from localcluster.accounts import audit_policy, kubeconfig_of
from localcluster.cluster import USER_CLUSTER, Cluster
from localcluster.fakes import RESOURCES
from support import batch_objects
from support.chart import Manifest, of_kind, rendered
from support.clusters import running_apiserver
from support.endpoints import NAME, apply, endpoint, reason, replicas
from support.kube import eventually, get
from support.operators import started_operator
from support.optional_kinds import install
from support.permissions import EVERYWHERE, Asked, Permission, allowed_to, asked_by, granted_by
from support.prometheus import Prometheus, running_simulator

pytestmark = pytest.mark.apiserver
SYSTEM = product.NAMESPACE
ACCOUNT = f"system:serviceaccount:{SYSTEM}:{product.RELEASE}"
EMPTY, OUTSIDE = "empty", "outside"
VALUES: dict[str, dict[str, Any]] = {"cluster-wide": {}, "namespaced": {"watchNamespaces": ["namespaced", EMPTY]}}
"""The chart's values by the namespace in which an endpoint lives under them."""
NOT_REQUESTED = {
    # A plugin of admission asks whether the operator may: test_a_child_that_holds_up_its_owner_needs_the_finalizers.
    Permission("llmendpoint.dev", "llmendpoints/finalizers", "update"),
    Permission("llmendpoint.dev", "llmbatches/finalizers", "update"),
}
CHILDREN = "deployments,services,persistentvolumeclaims,horizontalpodautoscalers,poddisruptionbudgets"
ENGINE: dict[str, Any] = {"args": ["--max-num-seqs=4"]}
OWN: dict[str, Any] = {"model": {"source": "hf://acme/llama"}}
GROWING = "growing"
"""A class of volumes that can be made larger."""
LONGEST = 180.0
READ = ("get", "list", "watch")
WRITE = ("create", "update", "patch", "delete", "deletecollection")
ANY = (*READ, *WRITE)
RBAC, ADMISSION = "rbac.authorization.k8s.io", "admissionregistration.k8s.io"
FORBIDDEN: list[tuple[str, str, tuple[str, ...]]] = [
    ("*", "*", ("*",)),
    ("", "secrets", ANY),
    ("", "configmaps", ANY),
    ("", "serviceaccounts", (*ANY, "impersonate")),
    ("", "serviceaccounts/token", ("create",)),
    ("", "users", ("impersonate",)),
    ("", "groups", ("impersonate",)),
    ("authentication.k8s.io", "userextras/scopes", ("impersonate",)),
    ("authentication.k8s.io", "tokenreviews", ("create",)),
    ("authorization.k8s.io", "subjectaccessreviews", ("create",)),
    ("certificates.k8s.io", "certificatesigningrequests", ANY),
    ("certificates.k8s.io", "certificatesigningrequests/approval", ("update", "patch")),
    (RBAC, "roles", (*ANY, "bind", "escalate")),
    (RBAC, "rolebindings", ANY),
    (RBAC, "clusterroles", (*ANY, "bind", "escalate")),
    (RBAC, "clusterrolebindings", ANY),
    ("", "namespaces", ANY),
    ("", "namespaces/finalize", ("update",)),
    ("", "nodes", ANY),
    ("", "nodes/proxy", ("get", "create")),
    ("", "nodes/status", ("update", "patch")),
    ("", "pods", ("get", "create", "update", "deletecollection")),
    ("", "pods/attach", ("get", "create")),
    ("", "pods/binding", ("create",)),
    ("", "pods/ephemeralcontainers", ("update", "patch")),
    ("", "pods/eviction", ("create",)),
    ("", "pods/exec", ("get", "create")),
    ("", "pods/log", ("get",)),
    ("", "pods/portforward", ("get", "create")),
    ("", "pods/proxy", ("get", "create")),
    ("", "pods/resize", ("update", "patch")),
    ("", "pods/status", ("update", "patch")),
    ("", "services", ("update", "deletecollection")),
    ("", "services/proxy", ("get", "create")),
    ("", "services/status", ("update", "patch")),
    ("", "endpoints", ANY),
    ("discovery.k8s.io", "endpointslices", ANY),
    ("networking.k8s.io", "networkpolicies", ANY),
    ("networking.k8s.io", "ingresses", ANY),
    ("", "persistentvolumeclaims", ("update", "deletecollection")),
    ("", "persistentvolumes", ANY),
    ("storage.k8s.io", "storageclasses", ANY),
    ("", "resourcequotas", ("get", "watch", *WRITE)),
    ("", "limitranges", ANY),
    ("", "events", ANY),
    ("events.k8s.io", "events", (*READ, "update", "patch", "delete", "deletecollection")),
    ("apps", "deployments", ("update", "deletecollection")),
    ("apps", "deployments/scale", ("get", "update", "patch")),
    ("apps", "replicasets", ANY),
    ("apps", "statefulsets", ANY),
    ("apps", "daemonsets", ANY),
    ("batch", "jobs", ("update", "deletecollection")),
    ("batch", "jobs/status", ("get", "update", "patch")),
    ("batch", "cronjobs", ANY),
    ("autoscaling", "horizontalpodautoscalers", ("update", "deletecollection")),
    ("policy", "poddisruptionbudgets", ("update", "deletecollection")),
    ("scheduling.k8s.io", "priorityclasses", ANY),
    (ADMISSION, "mutatingwebhookconfigurations", ANY),
    (ADMISSION, "validatingwebhookconfigurations", ANY),
    (ADMISSION, "validatingadmissionpolicies", ANY),
    (ADMISSION, "mutatingadmissionpolicies", ANY),
    ("apiextensions.k8s.io", "customresourcedefinitions", ANY),
    ("apiregistration.k8s.io", "apiservices", ANY),
    ("llmendpoint.dev", "llmendpoints", ("get", "update", "deletecollection")),
    ("llmendpoint.dev", "llmendpoints/scale", ("get", "update", "patch")),
    ("llmendpoint.dev", "llmendpoints/status", ("get", "update")),
    ("llmendpoint.dev", "llmbatches", ("create", "update", "patch", "deletecollection")),
    ("llmendpoint.dev", "llmbatches/status", ("get", "update")),
]
"""What the account must not do: group, resource and verbs."""
MUTE = "mute"
"""A node without a kubelet, and the label that leads to it."""


def resources(table: Iterable[tuple[str, str, tuple[str, ...]]]) -> list[str]:
    """Names of tests: what they are about, as kubectl has it."""
    return [".".join(filter(None, (resource, group))) for group, resource, _ in table]


@dataclass(frozen=True)
class Installed:
    """The chart's account with its roles."""

    cluster: Cluster
    namespace: str
    bodies: list[Manifest]
    kubeconfig: Path

    @property
    def settings(self) -> dict[str, str]:
        """Those of the operator's pod, but for times that would make a test long."""
        (deployment,) = of_kind(self.bodies, "Deployment")
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        literal = {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}
        return {
            **{name.removeprefix("LLMENDPOINT_"): value for name, value in literal.items()},
            "LEASE_NAMESPACE": SYSTEM,
            "TICK_SECONDS": "1",
        }


@dataclass(frozen=True)
class Life:
    """What an operator has asked for while it did all that it does, and what became of an endpoint elsewhere."""

    asked: list[Asked]
    elsewhere: tuple[Manifest, Manifest]
    """Before and after."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if os.environ.get(USER_CLUSTER):
        pytest.skip("an audit log is read here, and that of the user's own cluster can not be")
    tools.ensure(tools.HELM)
    policy = tmp_path_factory.mktemp("audit") / "policy.json"
    policy.write_text(json.dumps(audit_policy(SYSTEM)))
    with running_apiserver("rbac", fake_nodes=2, audit_policy=policy) as made:
        mute = {"name": MUTE, "labels": {MUTE: "true"}}
        growing = {"provisioner": "kubernetes.io/no-provisioner", "allowVolumeExpansion": True}
        made.control_plane.apply(
            [
                *(named("Namespace", name) for name in (SYSTEM, EMPTY, OUTSIDE, *VALUES)),
                {"apiVersion": "v1", "kind": "Node", "metadata": mute, "status": {"allocatable": dict(RESOURCES)}},
                {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": GROWING}, **growing},
            ]
        )
        for kind in (HTTP_ROUTE, INFERENCE_POOL, LEADER_WORKER_SET):
            install(made, kind.plural)
        yield made


@pytest.fixture(scope="module")
def bare(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> set[Permission]:
    """What every account may do, for example ask for its own permissions."""
    kubeconfig = tmp_path_factory.mktemp("bare") / "kubeconfig.yaml"
    kubeconfig.write_text(yaml.safe_dump(kubeconfig_of(cluster, SYSTEM, "default")))
    return allowed_to(cluster, kubeconfig, SYSTEM)


@pytest.fixture(scope="module", params=VALUES)
def installed(
    cluster: Cluster, bare: set[Permission], request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installed]:
    bodies = rendered(**VALUES[request.param])
    account = [body for body in bodies if body["kind"] == "ServiceAccount" or body["apiVersion"].startswith("rbac.")]
    cluster.control_plane.apply(account)
    kubeconfig = tmp_path_factory.mktemp("account") / "kubeconfig.yaml"
    kubeconfig.write_text(yaml.safe_dump(kubeconfig_of(cluster, SYSTEM, product.RELEASE)))
    made = Installed(cluster, request.param, bodies, kubeconfig)
    # The API server goes by new roles a moment after it has stored them.
    eventually(lambda: not any(surprises(made, bare, where) for where in (SYSTEM, EMPTY)))
    yield made
    cluster.kubectl("delete", "-f", "-", stdin=yaml.safe_dump_all(account))
    cluster.kubectl("delete", "lease", product.RELEASE, "-n", SYSTEM, "--ignore-not-found")


@pytest.fixture(scope="module")
def life(installed: Installed, prometheus: Prometheus, tmp_path_factory: pytest.TempPathFactory) -> Life:
    cluster, directory = installed.cluster, tmp_path_factory.mktemp("life")
    begin = cluster.control_plane.audit_log.stat().st_size
    apply(cluster, OUTSIDE)
    before = endpoint(cluster, OUTSIDE)
    with started_operator(installed.kubeconfig, directory / "operator.log", **installed.settings) as operator:
        operator.await_ready()
        live(cluster, installed.namespace, prometheus, directory)
        elsewhere = before, endpoint(cluster, OUTSIDE)
        cluster.kubectl("delete", "llmendpoint", NAME, "-n", OUTSIDE)
    return Life(asked_by(ACCOUNT, cluster.control_plane.audit_log, begin), elsewhere)


@pytest.fixture
async def api(cluster: Cluster) -> AsyncIterator[Api]:
    """As one who may ask for everybody's permissions."""
    async with Api.connect(Fence.without_election(), str(cluster.kubeconfig)) as connected:
        yield connected


def named(kind: str, name: str) -> Manifest:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}}


def live(cluster: Cluster, namespace: str, prometheus: Prometheus, directory: Path) -> None:
    """Have an operator do all that it does: an endpoint with every kind of child comes, changes and goes."""
    cluster.control_plane.apply([volume(namespace)])
    it_is_scaled_and_its_cache_grows(cluster, namespace, prometheus, directory)
    a_child_that_is_not_wanted_is_deleted(cluster, namespace)
    all_that_can_be_left_out_is_deleted(cluster, namespace)
    a_gateway_leads_to_it(cluster, namespace)
    it_takes_several_nodes_and_one_again(cluster, namespace)
    a_replica_that_never_served_gets_a_shorter_grace(cluster, namespace)
    cluster.kubectl("delete", "llmendpoint", NAME, "-n", namespace)
    a_batch_with_its_own_engines_stops_goes_on_and_removes_itself(cluster, namespace)


def it_is_scaled_and_its_cache_grows(cluster: Cluster, namespace: str, prometheus: Prometheus, directory: Path) -> None:
    def apply_with(most: int, size: str) -> None:
        metrics = {"source": "Prometheus", "prometheus": {"url": prometheus.url}}
        apply(
            cluster,
            namespace,
            model={"source": "hf://acme/llama", "cache": {"size": size, "storageClassName": GROWING, "prefetch": True}},
            engine=ENGINE,
            business={"image": "example.test/rag:1", "replicas": {"min": 1, "max": 2}},
            scaling={"maxReplicas": most, "metrics": metrics},
        )

    apply_with(most=2, size="10Gi")
    eventually(lambda: reason(cluster, namespace) == "AllReplicasReady", LONGEST)
    (pod,) = pods(cluster, namespace)
    with running_simulator(directory, "vllm", "serve", "m", *ENGINE["args"]) as engine:
        prometheus.scrape({(namespace, pod["metadata"]["name"]): engine.address})
        with engine.busy(8):
            eventually(lambda: replicas(cluster, namespace) == 2, LONGEST)
            apply_with(most=1, size="20Gi")  # in while it is busy: the operator says which replica is dear
            eventually(lambda: replicas(cluster, namespace) == 1)
    (claim,) = found(cluster, namespace, "persistentvolumeclaims")
    assert claim["spec"]["resources"]["requests"] == {"storage": "20Gi"}


def a_child_that_is_not_wanted_is_deleted(cluster: Cluster, namespace: str) -> None:
    """A copy of a Service with its labels and its owner, as kubectl makes one."""
    service = get(cluster, "service", NAME, "-n", namespace)
    kept = {name: service["metadata"][name] for name in ("namespace", "labels", "ownerReferences")}
    copy = {**service, "metadata": {"name": "copy", **kept}, "spec": {"ports": service["spec"]["ports"]}}
    cluster.control_plane.apply([copy])
    eventually(lambda: not get(cluster, "service", "copy", "-n", namespace))


def all_that_can_be_left_out_is_deleted(cluster: Cluster, namespace: str) -> None:
    """And without spec.scaling the count is in spec.replicas."""
    apply(cluster, namespace, engine=ENGINE)
    eventually(lambda: endpoint(cluster, namespace)["spec"].get("replicas") == 1)
    eventually(lambda: reason(cluster, namespace) == "AllReplicasReady", LONGEST)
    left = eventually(lambda: len(some := found(cluster, namespace, CHILDREN)) == 4 and some, LONGEST)
    assert sorted(f"{body['kind']} {body['metadata']['name']}" for body in left) == [
        "Deployment llama-engine",
        "PodDisruptionBudget llama-engine",
        "Service llama",
        "Service llama-engine",
    ]


def a_gateway_leads_to_it(cluster: Cluster, namespace: str) -> None:
    kinds = f"{HTTP_ROUTE.plural},{INFERENCE_POOL.plural}"
    pool = {"endpointPickerRef": {"name": "picker", "port": 9002}}
    apply(cluster, namespace, engine=ENGINE, gateway={"parentRefs": [{"name": "public"}], "inferencePool": pool})
    eventually(lambda: len(get(cluster, kinds, "-n", namespace)["items"]) == 2)
    apply(cluster, namespace, engine=ENGINE)
    eventually(lambda: not get(cluster, kinds, "-n", namespace).get("items"))


def it_takes_several_nodes_and_one_again(cluster: Cluster, namespace: str) -> None:
    """Nobody makes pods of the set here, so the Deployment stays beside it."""
    apply(cluster, namespace, engine={**ENGINE, "nodesPerReplica": 2})
    eventually(lambda: get(cluster, LEADER_WORKER_SET.plural, "-n", namespace).get("items"))
    apply(cluster, namespace, engine=ENGINE)
    eventually(lambda: not get(cluster, LEADER_WORKER_SET.plural, "-n", namespace).get("items"))


def a_replica_that_never_served_gets_a_shorter_grace(cluster: Cluster, namespace: str) -> None:
    """A replica whose node has no kubelet: what such a one would say of it is said here."""
    apply(
        cluster, namespace, engine={**ENGINE, "nodeSelector": {MUTE: "true"}, "tolerations": [{"operator": "Exists"}]}
    )
    pod = eventually(lambda: pods(cluster, namespace, MUTE))[0]["metadata"]["name"]
    loading = {"name": "engine", "ready": False, "started": False, "restartCount": 0, "image": "x", "imageID": "x"}
    loading |= {"state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}
    patch = json.dumps({"status": {"containerStatuses": [loading]}})
    cluster.kubectl("patch", "pod", pod, "-n", namespace, "--subresource=status", "--type=strategic", "-p", patch)
    cluster.kubectl("delete", "pod", pod, "-n", namespace, "--wait=false")

    def grace() -> int:
        return int(get(cluster, "pod", pod, "-n", namespace)["metadata"]["deletionGracePeriodSeconds"])

    eventually(lambda: grace() == NEVER_READY_GRACE_SECONDS)


def a_batch_with_its_own_engines_stops_goes_on_and_removes_itself(cluster: Cluster, namespace: str) -> None:
    """Its volumes are there when it is to be done: until then its Job has begun and its pods wait."""
    batch_objects.apply(cluster, namespace, endpoint=OWN, ttlSecondsAfterFinished=0)
    eventually(lambda: batch_objects.state(cluster, namespace) == "VolumePending", LONGEST)
    batch_objects.apply(cluster, namespace, endpoint=OWN, ttlSecondsAfterFinished=0, suspend=True)
    eventually(lambda: batch_objects.state(cluster, namespace) == "Suspended")
    eventually(lambda: not get(cluster, "llmendpoint", batch_objects.NAME, "-n", namespace))
    batch_objects.apply(cluster, namespace, endpoint=OWN, ttlSecondsAfterFinished=0)
    cluster.control_plane.apply(batch_objects.volumes(namespace))
    eventually(lambda: not get(cluster, "llmbatch", batch_objects.NAME, "-n", namespace), LONGEST)


def found(cluster: Cluster, namespace: str, kinds: str) -> list[Manifest]:
    """The endpoint's children of these kinds that are not going."""
    items = get(cluster, kinds, "-n", namespace)["items"]
    return [body for body in items if "deletionTimestamp" not in body["metadata"]]


def volume(name: str) -> Manifest:
    """One for the cache, which nobody mounts."""
    return {
        **named("PersistentVolume", name),
        "spec": {
            "storageClassName": GROWING,
            "capacity": {"storage": "10Gi"},
            "accessModes": ["ReadWriteOnce", "ReadWriteMany"],
            "hostPath": {"path": "/nowhere"},
        },
    }


def pods(cluster: Cluster, namespace: str, node: str | None = None) -> list[Manifest]:
    """Engine pods; those on one node, if it is named."""
    items = get(cluster, "pods", "-n", namespace, "-l", "llmendpoint.dev/component=engine")["items"]
    return [pod for pod in items if node in {None, pod["spec"].get("nodeName")}]


def surprises(installed: Installed, bare: set[Permission], where: str) -> set[Permission]:
    """What the account may do there and its roles do not say, or the other way round."""
    granted = granted_by(installed.bodies)
    may = allowed_to(installed.cluster, installed.kubeconfig, where)
    return (may - bare) ^ (granted[EVERYWHERE] | granted[where])


async def allowed(
    api: Api, places: Iterable[str | None], group: str, resource: str, verbs: Iterable[str], name: str = ""
) -> list[str]:
    """What of this the account may do after all, in words. None is the place of all namespaces and of the cluster."""
    asked = [review(api, ACCOUNT, place, group, resource, verb, name) for place in places for verb in verbs]
    return [f"{one.words} in {one.namespace}" for one in await asyncio.gather(*asked) if one.allowed]


def test_no_request_is_refused(life: Life) -> None:
    assert [asked for asked in life.asked if asked.code in {401, 403}] == []


def test_each_permission_is_used(installed: Installed, life: Life) -> None:
    everywhere = itertools.chain.from_iterable(granted_by(installed.bodies).values())
    granted = {permission._replace(name="") for permission in everywhere}
    assert granted - {permission for asked in life.asked for permission in asked.used} == NOT_REQUESTED


@pytest.mark.parametrize("installed", ["namespaced"], indirect=True)
def test_the_operator_of_some_namespaces_asks_for_no_other(life: Life) -> None:
    assert {asked.namespace for asked in life.asked} == {"namespaced", EMPTY, SYSTEM}
    before, after = life.elsewhere
    assert after == before


@pytest.mark.parametrize("installed", ["cluster-wide"], indirect=True)
def test_the_operator_of_all_namespaces_looks_after_each(life: Life) -> None:
    _, after = life.elsewhere
    assert after["status"]["conditions"]


@pytest.mark.parametrize("with_right", [True, False])
def test_a_child_that_holds_up_its_owner_needs_the_finalizers(cluster: Cluster, with_right: bool) -> None:
    """The request is for the child; a plugin of admission, which OpenShift has on, asks about the owner by itself."""
    role = next(body for body in of_kind(rendered(), "ClusterRole") if body["metadata"]["name"] == product.RELEASE)
    rules = [rule for rule in role["rules"] if with_right or "llmendpoints/finalizers" not in rule["resources"]]
    user = f"with-{with_right}".lower()
    about = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": user, "namespace": EMPTY}}
    cluster.control_plane.apply(
        [
            {**about, "kind": "Role", "rules": rules},
            {
                **about,
                "kind": "RoleBinding",
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": user},
                "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
            },
        ]
    )
    owner = {"apiVersion": "llmendpoint.dev/v1alpha1", "kind": "LLMEndpoint", "name": NAME, "uid": "u"}
    child = named("Service", NAME)
    child["metadata"] |= {"namespace": EMPTY, "ownerReferences": [{**owner, "blockOwnerDeletion": True}]}
    child["spec"] = {"ports": [{"port": 80}]}
    apply_it = ("apply", "--server-side", "--dry-run=server", f"--as={user}", "-f", "-")

    def answer() -> str:
        done = cluster.kubectl(*apply_it, stdin=json.dumps(child), check=False)
        return done.stderr + done.stdout

    expected = "serverside-applied" if with_right else "cannot set blockOwnerDeletion"
    eventually(lambda: expected in answer())


@pytest.mark.parametrize("where", [*VALUES, EMPTY, SYSTEM, OUTSIDE, "kube-system"])
def test_the_account_may_do_what_its_roles_say_and_nothing_else(
    installed: Installed, where: str, bare: set[Permission]
) -> None:
    assert surprises(installed, bare, where) == set()


@pytest.mark.parametrize(("group", "resource", "verbs"), FORBIDDEN, ids=resources(FORBIDDEN))
async def test_the_account_may_not(
    installed: Installed, api: Api, group: str, resource: str, verbs: Iterable[str]
) -> None:
    """Neither where endpoints are, nor beside the operator, nor in the whole cluster."""
    places = (installed.namespace, SYSTEM, None)
    assert await allowed(api, places, group, resource, verbs) == []


@pytest.mark.parametrize("installed", ["namespaced"], indirect=True)
@pytest.mark.parametrize(("group", "resource", "verbs"), NEEDED, ids=resources(NEEDED))
async def test_the_account_of_some_namespaces_may_not_do_elsewhere(
    installed: Installed, api: Api, group: str, resource: str, verbs: tuple[str, ...]
) -> None:
    places = (OUTSIDE, SYSTEM, "kube-system", None)
    assert await allowed(api, places, group, resource, verbs) == []


async def test_the_account_may_not_touch_leases_of_others(installed: Installed, api: Api) -> None:
    lease, elsewhere = ("coordination.k8s.io", "leases"), (installed.namespace, "kube-system", "kube-node-lease", None)
    assert await allowed(api, elsewhere, *lease, [*READ, *WRITE]) == []
    assert await allowed(api, [SYSTEM], *lease, [*READ, "update", "patch", "delete"], "another") == []
    assert await allowed(api, [SYSTEM], *lease, ["list", "watch", "patch", "delete"], product.RELEASE) == []

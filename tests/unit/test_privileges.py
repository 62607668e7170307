"""What a user's pod template may not ask for, and what it may."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmendpoint.manifests import ManifestDefaults, problems
from llmendpoint.manifests.privileges import ALLOWANCE
from support.builders import endpoint

SIDECAR = {"image": "rag", "port": 8001, "placement": "Sidecar"}
ENGINE = "spec.containers[engine]"
BUSINESS = "spec.containers[business]"


def pod(**fields: Any) -> dict[str, Any]:
    return {"spec": fields}


def pod_context(**fields: Any) -> dict[str, Any]:
    return pod(securityContext=fields)


def container(name: str = "engine", **fields: Any) -> dict[str, Any]:
    return pod(containers=[{"name": name, **fields}])


def context(name: str = "engine", **fields: Any) -> dict[str, Any]:
    return container(name, securityContext=fields)


def volume(**source: Any) -> dict[str, Any]:
    return pod(volumes=[{"name": "x", **source}])


def hook(**handler: Any) -> dict[str, Any]:
    return container("proxy", image="p", lifecycle={"postStart": handler})


REFUSED: list[tuple[dict[str, Any], str]] = [
    (volume(hostPath={"path": "/"}), "spec.volumes[x] must not be of type hostPath: use a persistentVolumeClaim"),
    (volume(nfs={"server": "s", "path": "/"}), "spec.volumes[x] must not be of type nfs"),
    (volume(flexVolume={"driver": "d"}), "spec.volumes[x] must not be of type flexVolume"),
    (volume(gitRepo={"repository": "r"}), "spec.volumes[x] must not be of type gitRepo"),
    (
        pod(volumes=[{"name": "cache", "emptyDir": None, "hostPath": {"path": "/"}}]),
        "spec.volumes[cache] must not be of type hostPath",
    ),
    (
        volume(projected={"sources": [{"serviceAccountToken": {"path": "t"}}]}),
        "spec.volumes[x] must not have a serviceAccountToken",
    ),
    (
        volume(projected={"sources": [{"podCertificate": {"signerName": "s"}}]}),
        "spec.volumes[x] must not have a podCertificate",
    ),
    (pod(hostNetwork=True), "spec.hostNetwork must not be true"),
    (pod(hostPID=True), "spec.hostPID must not be true"),
    (pod(hostIPC=True), "spec.hostIPC must not be true"),
    (pod(serviceAccountName="admin"), "spec.serviceAccountName must be left out"),
    (pod(serviceAccount="admin"), "spec.serviceAccount must be left out"),
    (pod(automountServiceAccountToken=True), "spec.automountServiceAccountToken must stay false"),
    (pod(automountServiceAccountToken=None), "spec.automountServiceAccountToken must stay false"),
    (pod(nodeName="node-1"), "spec.nodeName must be left out: choose nodes by engine.nodeSelector"),
    (pod(priorityClassName="system-node-critical"), "spec.priorityClassName must not be one of the system's"),
    (pod_context(seccompProfile={"type": "Unconfined"}), "spec.securityContext.seccompProfile.type must be"),
    (pod_context(seccompProfile=None), "spec.securityContext.seccompProfile must stay"),
    (pod(securityContext=None), "spec.securityContext.seccompProfile must stay"),
    (pod_context(appArmorProfile={"type": "Unconfined"}), "spec.securityContext.appArmorProfile.type must be"),
    (
        pod_context(sysctls=[{"name": "kernel.msgmax", "value": "1"}]),
        "spec.securityContext.sysctls must not have kernel",
    ),
    (pod_context(seLinuxOptions={"type": "spc_t"}), "spec.securityContext.seLinuxOptions must leave out"),
    (pod_context(windowsOptions={"hostProcess": True}), "spec.securityContext.windowsOptions.hostProcess must not"),
    (pod_context(runAsUser=0), f"{BUSINESS}.securityContext.runAsUser must not be 0"),
    (
        {"metadata": {"annotations": {"container.apparmor.security.beta.kubernetes.io/engine": "unconfined"}}},
        "metadata.annotations[container.apparmor.security.beta.kubernetes.io/engine] must not be unconfined",
    ),
    (context(privileged=True), f"{ENGINE}.securityContext.privileged must not be true"),
    (context(allowPrivilegeEscalation=True), f"{ENGINE}.securityContext.allowPrivilegeEscalation must not be true"),
    (context(allowPrivilegeEscalation=None), f"{ENGINE}.securityContext.allowPrivilegeEscalation must stay false"),
    (
        context(capabilities={"add": ["SYS_ADMIN"]}),
        f"{ENGINE}.securityContext.capabilities.add must not have SYS_ADMIN",
    ),
    (context(capabilities={"drop": ["NET_RAW"]}), f"{ENGINE}.securityContext.capabilities.drop must keep ALL"),
    (context(capabilities=None), f"{ENGINE}.securityContext.capabilities.drop must keep ALL"),
    (context(procMount="Unmasked"), f"{ENGINE}.securityContext.procMount must be Default"),
    (context(seccompProfile={"type": "Unconfined"}), f"{ENGINE}.securityContext.seccompProfile.type must be"),
    (context(appArmorProfile={"type": "Unconfined"}), f"{ENGINE}.securityContext.appArmorProfile.type must be"),
    (context("business", runAsNonRoot=False), f"{BUSINESS}.securityContext.runAsNonRoot must stay true"),
    (context("business", runAsUser=0), f"{BUSINESS}.securityContext.runAsUser must not be 0"),
    (container(ports=[{"containerPort": 8000, "hostPort": 80}]), f"{ENGINE}.ports must not have hostPort 80"),
    (
        container(livenessProbe={"httpGet": {"host": "10.0.0.1"}}),
        f"{ENGINE}.livenessProbe.httpGet.host must be left out",
    ),
    (hook(httpGet={"host": "10.0.0.1", "port": 80}), "spec.containers[proxy].lifecycle.postStart.httpGet.host must be"),
    (
        hook(tcpSocket={"host": "10.0.0.1", "port": 80}),
        "spec.containers[proxy].lifecycle.postStart.tcpSocket.host must",
    ),
    (context("proxy", privileged=True), "spec.containers[proxy].securityContext.privileged must not be true"),
    (
        pod(initContainers=[{"name": "fetch", "image": "i", "securityContext": {"privileged": True}}]),
        "spec.initContainers[fetch].securityContext.privileged must not be true",
    ),
    (
        pod(ephemeralContainers=[{"name": "debug", "image": "i", "securityContext": {"procMount": "Unmasked"}}]),
        "spec.ephemeralContainers[debug].securityContext.procMount must be Default",
    ),
]


@pytest.mark.parametrize(("template", "sentence"), REFUSED)
def test_a_privilege_is_refused_with_its_field_and_who_can_allow_it(template: dict[str, Any], sentence: str) -> None:
    made = endpoint(business=SIDECAR, engine={"podTemplate": template})
    found, allowance = problems(made, ManifestDefaults())
    assert found.startswith(f"engine.podTemplate.{sentence}")
    assert allowance == ALLOWANCE
    assert problems(made, ManifestDefaults(allow_privileged_pod_templates=True)) == []


def test_each_of_several_is_named_and_the_allowance_once() -> None:
    template = pod(hostNetwork=True, hostPID=True, containers=[{"name": "engine", "securityContext": None}])
    found = problems(endpoint(engine={"podTemplate": template}), ManifestDefaults())
    assert [sentence.partition(" ")[0].removeprefix("engine.podTemplate.spec.") for sentence in found[:-1]] == [
        "hostNetwork",
        "hostPID",
        "containers[engine].securityContext.allowPrivilegeEscalation",
        "containers[engine].securityContext.capabilities.drop",
    ]
    assert found[-1] == ALLOWANCE


@pytest.mark.parametrize(
    "template",
    [
        pod(tolerations=[{"operator": "Exists"}], priorityClassName="high", nodeSelector={"a": "b"}, hostUsers=False),
        pod(hostNetwork=False, serviceAccountName="default", automountServiceAccountToken=False),
        pod_context(runAsUser=1000, runAsNonRoot=True, fsGroup=1000, seccompProfile={"type": "Localhost"}),
        pod_context(sysctls=[{"name": "net.ipv4.tcp_syncookies", "value": "1"}]),
        context(capabilities={"add": ["NET_BIND_SERVICE"]}, readOnlyRootFilesystem=True, runAsUser=0),
        volume(persistentVolumeClaim={"claimName": "models"}),
        volume(projected={"sources": [{"secret": {"name": "s"}}, {"configMap": {"name": "c"}}]}),
        container("proxy", image="p", ports=[{"containerPort": 9000}], readinessProbe={"httpGet": {"port": 9000}}),
    ],
)
def test_what_stays_within_the_pods_is_allowed(template: dict[str, Any]) -> None:
    assert problems(endpoint(engine={"podTemplate": template}), ManifestDefaults()) == []


def test_the_operators_own_template_asks_for_none() -> None:
    template = {"metadata": {"labels": {"team": "a"}}}
    for business in ({"image": "rag"}, SIDECAR):
        for engine in ("vLLM", "TGI"):
            made = endpoint(business=business, engine={"type": engine, "podTemplate": template})
            assert problems(made, ManifestDefaults()) == []


FIELDS = st.sampled_from([
    "securityContext", "volumes", "hostPath", "capabilities", "add", "drop", "seccompProfile", "type", "projected",
    "sources", "ports", "hostPort", "lifecycle", "preStop", "httpGet", "host", "sysctls", "annotations", "name",
])  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=4),
    max_leaves=16,
)


@given(st.dictionaries(FIELDS | st.sampled_from(["containers", "initContainers"]), JSON, max_size=4), JSON)
def test_a_template_of_any_form_is_judged(spec: dict[str, Any], metadata: Any) -> None:
    problems(endpoint(engine={"podTemplate": {"metadata": metadata, "spec": spec}}), ManifestDefaults())


@given(st.sampled_from(["securityContext", "ports", "lifecycle", "startupProbe"]), JSON)
def test_a_container_of_any_form_is_judged(field: str, value: Any) -> None:
    problems(endpoint(engine={"podTemplate": container(**{field: value})}), ManifestDefaults())

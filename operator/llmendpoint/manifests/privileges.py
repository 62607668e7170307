"""What a user's pod template may not ask for: it would reach beyond the endpoint's pods, to nodes, tokens and tenants.

The baseline of the Pod Security Standards, whatever the namespace enforces, and what they do not look at: accounts and
their tokens, priorities of the system, and the choice of a node. What the operator locked in its own containers stays
locked. https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from collections.abc import Iterator, Mapping
from typing import Any

from llmendpoint.api.endpoint import Endpoint
from llmendpoint.manifests.common import ManifestDefaults
from llmendpoint.manifests.engine import engine_template
from llmendpoint.manifests.pod_template import strategic_merge
from llmendpoint.manifests.untyped import by_name, entries, mapping

CONTAINER_LISTS = ("containers", "initContainers", "ephemeralContainers")
HOST_NAMESPACES = ("hostNetwork", "hostPID", "hostIPC")
# Those that the standard's level restricted allows, and images. All others reach a node, or a server as the node.
VOLUME_TYPES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected", "secret",
}  # fmt: skip
IDENTITIES = ("serviceAccountToken", "podCertificate")
CAPABILITIES = ("NET_BIND_SERVICE",)
PROFILES = ("RuntimeDefault", "Localhost")
SELINUX_TYPES = ("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t")
SYSCTLS = (
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range", "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem",
)  # fmt: skip
APPARMOR_ANNOTATION = "container.apparmor.security.beta.kubernetes.io/"
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
ALLOWANCE = (
    "the operator's administrator can allow such pod templates: allowPrivilegedPodTemplates of the chart, or "
    "LLMENDPOINT_ALLOW_PRIVILEGED_POD_TEMPLATES"
)


def privilege_problems(endpoint: Endpoint) -> list[str]:
    """What the endpoint's pod template asks for and may not, each with what to do, and who can allow it.

    The template must be one that can be merged.
    """
    ours = engine_template(endpoint, ManifestDefaults())
    merged = strategic_merge(ours, endpoint.spec.engine.pod_template or {})
    pod = mapping(merged.get("spec"))
    found = [*_annotations(mapping(merged.get("metadata"))), *_pod(pod), *_pod_security(pod)]
    for volume in entries(pod.get("volumes")):
        found += _volume(volume)
    for kind in CONTAINER_LISTS:
        for container in entries(pod.get(kind)):
            where = f"spec.{kind}[{container.get('name')}]"
            found += [*_container(container, where), *_container_security(container, where)]
    theirs = by_name(pod.get("containers"))
    for container in ours["spec"]["containers"]:
        found += _unlocked(container, mapping(theirs.get(container["name"])), mapping(pod.get("securityContext")))
    return [*(f"engine.podTemplate.{sentence}" for sentence in found), ALLOWANCE] if found else []


def _annotations(metadata: Mapping[str, Any]) -> Iterator[str]:
    for name, value in mapping(metadata.get("annotations")).items():
        if str(name).startswith(APPARMOR_ANNOTATION) and value == "unconfined":
            yield f"metadata.annotations[{name}] must not be unconfined: leave it out"


def _pod(pod: Mapping[str, Any]) -> Iterator[str]:
    for field in HOST_NAMESPACES:
        if pod.get(field):
            yield f"spec.{field} must not be true: leave it out"
    for field in ("serviceAccountName", "serviceAccount"):
        if pod.get(field) not in (None, "", "default"):
            yield f"spec.{field} must be left out: the pods run without an account's token"
    # Left out, the account's own setting counts, which is true as a rule.
    if pod.get("automountServiceAccountToken") is not False:
        yield "spec.automountServiceAccountToken must stay false: the pods run without an account's token"
    if pod.get("nodeName"):
        yield "spec.nodeName must be left out: choose nodes by engine.nodeSelector and engine.tolerations"
    if str(pod.get("priorityClassName", "")).startswith("system-"):
        yield "spec.priorityClassName must not be one of the system's: use a class of your own"


def _pod_security(pod: Mapping[str, Any]) -> Iterator[str]:
    where, context = "spec.securityContext", mapping(pod.get("securityContext"))
    yield from _profiles(context, where)
    # Left out it is unconfined, unless the kubelet says otherwise.
    if not mapping(context.get("seccompProfile")):
        yield f"{where}.seccompProfile must stay: RuntimeDefault or a Localhost profile"
    for sysctl in entries(context.get("sysctls")):
        if sysctl.get("name") not in SYSCTLS:
            yield f"{where}.sysctls must not have {sysctl.get('name')}: set it on the nodes"


def _volume(volume: Mapping[str, Any]) -> Iterator[str]:
    where = f"spec.volumes[{volume.get('name')}]"
    for kind in sorted(map(str, volume.keys() - {"name"} - VOLUME_TYPES)):
        yield f"{where} must not be of type {kind}: use a persistentVolumeClaim"
    for source in entries(mapping(volume.get("projected")).get("sources")):
        for kind in IDENTITIES:
            if kind in source:
                yield f"{where} must not have a {kind}: the pods run without an account's token"


def _container(container: Mapping[str, Any], where: str) -> Iterator[str]:
    for port in entries(container.get("ports")):
        if port.get("hostPort"):
            yield f"{where}.ports must not have hostPort {port['hostPort']}: clients use the endpoint's Service"
    lifecycle = mapping(container.get("lifecycle"))
    handlers = {
        **{name: mapping(container.get(name)) for name in PROBES},
        **{f"lifecycle.{name}": mapping(lifecycle.get(name)) for name in ("preStop", "postStart")},
    }
    for name, handler in handlers.items():
        for way in ("httpGet", "tcpSocket"):
            if mapping(handler.get(way)).get("host"):
                yield f"{where}.{name}.{way}.host must be left out: the node would ask another machine"


def _container_security(container: Mapping[str, Any], where: str) -> Iterator[str]:
    where, context = f"{where}.securityContext", mapping(container.get("securityContext"))
    for field in ("privileged", "allowPrivilegeEscalation"):
        if context.get(field):
            yield f"{where}.{field} must not be true: leave it out"
    added = mapping(context.get("capabilities")).get("add")
    for capability in added if isinstance(added, list) else ():
        if capability not in CAPABILITIES:
            yield f"{where}.capabilities.add must not have {capability}: only {', '.join(CAPABILITIES)} is allowed"
    if context.get("procMount") not in (None, "Default"):
        yield f"{where}.procMount must be Default: leave it out"
    yield from _profiles(context, where)


def _profiles(context: Mapping[str, Any], where: str) -> Iterator[str]:
    """What pods and containers have in common."""
    for field in ("seccompProfile", "appArmorProfile"):
        profile = mapping(context.get(field))
        if profile and profile.get("type") not in PROFILES:
            yield f"{where}.{field}.type must be RuntimeDefault or Localhost"
    labels = mapping(context.get("seLinuxOptions"))
    if labels.get("type", "") not in SELINUX_TYPES or labels.get("user") or labels.get("role"):
        yield f"{where}.seLinuxOptions must leave out user and role, and have a type of containers"
    if mapping(context.get("windowsOptions")).get("hostProcess"):
        yield f"{where}.windowsOptions.hostProcess must not be true: leave it out"


def _unlocked(ours: Mapping[str, Any], theirs: Mapping[str, Any], pod_context: Mapping[str, Any]) -> Iterator[str]:
    """What the template took away from a container of the operator's. An absent container has not been unlocked."""
    if not theirs:
        return
    before, after = ours["securityContext"], mapping(theirs.get("securityContext"))
    where = f"spec.containers[{ours['name']}].securityContext"
    # True is told already.
    if after.get("allowPrivilegeEscalation") is None:
        yield f"{where}.allowPrivilegeEscalation must stay false"
    dropped = mapping(after.get("capabilities")).get("drop")
    if not isinstance(dropped, list) or "ALL" not in dropped:
        yield f"{where}.capabilities.drop must keep ALL"
    if before.get("runAsNonRoot"):
        if after.get("runAsNonRoot") is not True:
            yield f"{where}.runAsNonRoot must stay true"
        if after.get("runAsUser", pod_context.get("runAsUser")) == 0:
            yield f"{where}.runAsUser must not be 0: the service does not run as root"

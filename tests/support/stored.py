"""An applied manifest as the API server gives it back: with defaults, canonical amounts and other writers' fields."""

import copy
import re
from decimal import Decimal
from typing import Any

from support.builders import CREATED

BINARY = {unit: 1024**power for power, unit in enumerate(["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"])}
DECIMAL = {
    unit: Decimal(1000) ** power for power, unit in enumerate(["n", "u", "m", "", "k", "M", "G", "T", "P", "E"], -3)
}
PROBE = {"initialDelaySeconds": 0, "successThreshold": 1}
CONTAINER = {"imagePullPolicy": "IfNotPresent", "terminationMessagePath": "/dev/termination-log", "resources": {}}
POD = {"restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler"}
SPEC: dict[str, dict[str, Any]] = {
    "Deployment": {"replicas": 1, "progressDeadlineSeconds": 600},
    "Service": {"clusterIP": "10.96.0.7", "type": "ClusterIP", "sessionAffinity": "None", "ipFamilies": ["IPv4"]},
    "PersistentVolumeClaim": {"volumeMode": "Filesystem", "storageClassName": "standard", "volumeName": "pvc-7"},
    "HorizontalPodAutoscaler": {"behavior": {"scaleUp": {"selectPolicy": "Max"}}},
    "PodDisruptionBudget": {},
    "HTTPRoute": {},
    "InferencePool": {"appProtocol": "http"},
    "LeaderWorkerSet": {"replicas": 1},
    "Job": {"completions": 1, "parallelism": 1, "suspend": False},
}


def stored(manifest: dict[str, Any], **status: Any) -> dict[str, Any]:
    """What a GET answers after ``manifest`` was applied."""
    body = copy.deepcopy(manifest)
    metadata = body["metadata"]
    metadata |= {
        "uid": f"uid-{metadata['name']}", "resourceVersion": "7", "generation": 1, "creationTimestamp": CREATED,
        "managedFields": [{"manager": "llmendpoint"}],
    }  # fmt: skip
    metadata["annotations"]["example.com/seen-by"] = "another controller"
    body["spec"] = SPEC[body["kind"]] | body["spec"]
    group = body["spec"].get("leaderWorkerTemplate", {})
    templates = [body["spec"].get("template"), group.get("leaderTemplate"), group.get("workerTemplate")]
    for template in filter(None, templates):
        template["spec"] = POD | template["spec"]
        for container in template["spec"]["containers"]:
            _complete(container)
    for port in body["spec"].get("ports", []):
        port["nodePort"] = 0
    body["status"] = status
    made: dict[str, Any] = _canonical(body)
    return made


def _complete(container: dict[str, Any]) -> None:
    """A container's defaults."""
    for name, value in CONTAINER.items():
        container.setdefault(name, copy.deepcopy(value))
    for name in container.keys() & {"startupProbe", "readinessProbe", "livenessProbe"}:
        container[name] = PROBE | container[name]
        if "httpGet" in container[name]:
            container[name]["httpGet"]["scheme"] = "HTTP"
    for port in container.get("ports", []):
        port.setdefault("protocol", "TCP")
    # Another manager's entry in a list that the API server merges by name.
    container.setdefault("env", []).append({"name": "INJECTED", "value": "by a webhook"})


def _canonical(node: Any, *, amounts: bool = False) -> Any:
    """Amounts in the API server's own form."""
    if isinstance(node, dict):
        return {
            name: _canonical(value, amounts=amounts or name in {"limits", "requests", "sizeLimit"})
            for name, value in node.items()
        }
    if isinstance(node, list):
        return [_canonical(entry) for entry in node]
    return canonical_amount(str(node)) if amounts else node


def canonical_amount(text: str) -> str:
    """As k8s.io/apimachinery writes a quantity: no fraction, and the largest unit that allows it."""
    found = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", text)
    assert found, text
    units = BINARY if found[2] in BINARY and found[2] else DECIMAL
    amount = Decimal(found[1]) * units[found[2]]
    if units is BINARY and amount != int(amount):
        units = DECIMAL
    for unit, size in sorted(units.items(), key=lambda item: -item[1]):
        if amount % size == 0 and amount:
            return f"{amount / size:f}".split(".")[0] + unit
    return "0"

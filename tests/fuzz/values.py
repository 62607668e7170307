"""Values for a field: what its schema allows, what the field's name makes likely, and what nobody expects."""

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

Schema = Mapping[str, Any]
Path = tuple[str, ...]
"""Names from the top; ``[]`` is an entry of a list, ``*`` a value of a map."""

TEXT = st.text(max_size=12)
NAMES = st.from_regex(r"[a-z]([-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)

# Without these a rule of the schema (CEL) or the product itself would refuse nearly all that a generator makes up.
LIKELY: dict[str, st.SearchStrategy[Any]] = {
    "source": st.sampled_from(
        ["hf://acme/llama", "hf://a", "pvc://models/llama", "pvc://models", "s3://bucket/llama", "oci://reg/llama:1"]
    ),
    "start": st.sampled_from(
        ["* * * * *", "30 7 * * MON-FRI", "*/5 0,12 1-7 jan-MAR 1-5/2", "0 0 30 2 *", "59 23 31 12 7"]
    ),
    "timeZone": st.sampled_from(
        ["Etc/UTC", "Europe/Berlin", "Australia/Lord_Howe", "Mars/Phobos", "GMT0", "posixrules"]
    ),
    "query": st.sampled_from(["sum(up)", "$namespace $name", "sum(", "", "vector(1)"]),
    "url": st.sampled_from(
        ["http://127.0.0.1:1", "https://[", "http://a b", "http://[::1]:99999/", "http://\u00fc.example"]
    ),
    "allowedHosts": st.sampled_from([["a.example"], ["*.b.example", "c.d.example"], ["*"], ["127.0.0.1"]]),
    "size": st.sampled_from(["1Gi", "0", "0.5m", "99999999999999999999E", "1.5Ti"]),
    "minReplicas": st.sampled_from([0, 1, 1, 2, 3, 1000]),
    "maxReplicas": st.sampled_from([1, 3, 6, 1000]),
    "replicas": st.sampled_from([0, 1, 2, 1000]),
    "accelerator": st.sampled_from(["NVIDIA-L4", "nvidia-l4", "AMD_Instinct_MI300X_OAM", "L4"]),
    "resourceClaims": st.sampled_from([[{"name": "gpu", "resourceClaimTemplateName": "one-gpu"}], [{"name": "gpu"}]]),
    "resources": st.sampled_from(
        [
            {"limits": {"nvidia.com/gpu": 1}},
            {"limits": {"nvidia.com/gpu": "1"}, "requests": {"cpu": 4, "memory": "1.5e3"}},
            {"limits": {"nvidia.com/gpu": 100}},
            {"limits": {"cpu": "100m", "memory": "64Mi"}},
            {"limits": {"nvidia.com/gpu": "0.5"}},
            {"requests": {"cpu": "-1"}},
            {"limits": {"amd.com/gpu": 2, "nvidia.com/mig-1g.5gb": 1}},
        ]
    ),
}  # fmt: skip

DEEP: Any = "bottom"
for _ in range(60):
    DEEP = {"spec": [DEEP]}

# Never of the right type or size everywhere, and each of them has broken some parser once.
HOSTILE_VALUES: list[Any] = [
    None, "", " ", [], {}, [None], [[]], {"": ""}, True, False, 0, -1, 1, 1.5, -0.0, 2**31, 2**53 + 1, 2**63 - 1,
    2**63, 10**30, 1e308, 5e-324, float("nan"), float("inf"), "0", "-1", "1e9", "nan", "null", "~", "\u0000", "\n",
    "a\nb: c", "\u202eevil", "\u2028", "\ud800", "\U0001f600" * 30, "\u00fc\u6f22\u5b57", "$(HOME)", "{{ .Values }}",
    "%s%n", "../../etc/passwd", "'; --", "-" * 64, "a" * 300, "a" * 40_000, "A.B", list(range(200)),
    {"$patch": "delete"}, {"$patch": "replace"}, {"x-kubernetes": 1}, DEEP,
]  # fmt: skip
HOSTILE = st.sampled_from(HOSTILE_VALUES)


def allowed(schema: Schema, path: Path = ()) -> st.SearchStrategy[Any]:
    """Values that the schema takes, its CEL rules aside."""
    by_schema = _by_schema(schema, path)
    likely = LIKELY.get(path[-1]) if path else None
    return by_schema if likely is None else st.one_of(likely, likely, by_schema)


def _by_schema(schema: Schema, path: Path) -> st.SearchStrategy[Any]:
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema.get("x-kubernetes-int-or-string"):
        return st.one_of(st.integers(0, 9), st.sampled_from(["1", "500m", "2Gi", "1e3", "x", "-1"]), TEXT)
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return TEMPLATES
    match schema["type"]:
        case "integer":
            return st.integers(schema.get("minimum", -(2**63)), schema.get("maximum", 2**63 - 1))
        case "number":
            bounds = {"min_value": schema.get("minimum"), "max_value": schema.get("maximum")}
            return st.floats(**bounds, allow_nan=False, allow_infinity=False)
        case "boolean":
            return st.booleans()
        case "array":
            return st.lists(allowed(schema["items"], (*path, "[]")), max_size=3)
        case "object":
            return _objects(schema, path)
    return _strings(schema)


def _strings(schema: Schema) -> st.SearchStrategy[str]:
    if "pattern" in schema:
        return st.from_regex(schema["pattern"])
    longest = min(schema.get("maxLength", 20), 20)
    return st.one_of(NAMES, st.text(min_size=schema.get("minLength", 0), max_size=longest))


def _objects(schema: Schema, path: Path) -> st.SearchStrategy[Any]:
    if "additionalProperties" in schema:
        values = allowed(schema["additionalProperties"], (*path, "*"))
        return st.dictionaries(st.one_of(NAMES, st.just("nvidia.com/gpu"), TEXT), values, max_size=3)
    properties = {name: allowed(part, (*path, name)) for name, part in schema.get("properties", {}).items()}
    required = {name: properties.pop(name) for name in schema.get("required", ())}
    return st.fixed_dictionaries(required, optional=properties)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=10,
)


def _or_hostile(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(strategy, strategy, strategy, HOSTILE)


_CONTAINERS = _or_hostile(
    st.lists(
        _or_hostile(
            st.fixed_dictionaries(
                {"name": _or_hostile(st.sampled_from(["engine", "business", "extra"]))},
                optional={
                    "image": _or_hostile(st.just("busybox")),
                    "env": _or_hostile(st.lists(_or_hostile(st.just({"name": "HF_HOME", "value": "/x"})), max_size=2)),
                    "args": _or_hostile(st.just(["--enforce-eager"])),
                    "ports": _or_hostile(st.lists(_or_hostile(st.just({"containerPort": 8000})), max_size=2)),
                    "resources": _or_hostile(LIKELY["resources"]),
                    "volumeMounts": _or_hostile(st.just([{"name": "shm", "mountPath": "/dev/shm"}])),
                    "readinessProbe": _or_hostile(st.just({"httpGet": {"path": "/x", "port": 1}})),
                    "lifecycle": _or_hostile(st.just({"preStop": {"sleep": {"seconds": 1}}})),
                    "$patch": st.sampled_from(["delete", "replace", "merge"]),
                },
            )
        ),
        max_size=3,
    )
)
TEMPLATES = st.fixed_dictionaries(
    {},
    optional={
        "metadata": _or_hostile(
            st.fixed_dictionaries(
                {},
                optional={
                    "labels": _or_hostile(st.dictionaries(NAMES, _or_hostile(NAMES), max_size=2)),
                    "annotations": _or_hostile(st.dictionaries(NAMES, _or_hostile(TEXT), max_size=2)),
                },
            )
        ),
        "spec": _or_hostile(
            st.fixed_dictionaries(
                {},
                optional={
                    "containers": _CONTAINERS,
                    "initContainers": _CONTAINERS,
                    "volumes": _or_hostile(st.just([{"name": "shm", "emptyDir": {"medium": "Memory"}}])),
                    "nodeSelector": _or_hostile(st.dictionaries(NAMES, _or_hostile(NAMES), max_size=2)),
                    "terminationGracePeriodSeconds": _or_hostile(st.integers(0, 10)),
                    "hostNetwork": _or_hostile(st.booleans()),
                    "priorityClassName": _or_hostile(st.just("high")),
                    "schedulerName": _or_hostile(st.just("mine")),
                    "topologySpreadConstraints": _or_hostile(st.just([{"topologyKey": "zone", "maxSkew": 1}])),
                },
            )
        ),
        "unknown": JSON,
    },
)

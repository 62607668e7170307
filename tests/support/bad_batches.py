"""Batches that must be refused, each with the sentence that has to say why, and changes that must be."""

from typing import Any

GOOD: dict[str, Any] = {
    "apiVersion": "llmendpoint.dev/v1alpha1",
    "kind": "LLMBatch",
    "metadata": {"name": "good", "namespace": "default"},
    "spec": {
        "endpointRef": {"name": "llama"},
        "input": {"uri": "pvc://prompts/2026/march..1.jsonl"},
        "output": {"uri": "s3://answers.test/2026/march"},
        "s3": {"endpointURL": "http://minio:9000", "region": "eu-1", "credentialsSecretRef": {"name": "keys"}},
    },
}
OWN = {"model": {"source": "hf://acme/llama"}}
FILES = {part: GOOD["spec"][part] for part in ("input", "output")}
URI = "must be pvc://claim/path or s3://bucket/key"
ONE = "exactly one of endpointRef and endpoint must be given"

BAD: list[tuple[str, str, Any, str]] = [
    # what, path in the object, value, part of the sentence
    ("name-too-long", "metadata.name", "a" * 51, "metadata.name must have at most 50 characters"),
    ("name-with-dot", "metadata.name", "march.1", "metadata.name must be a DNS label"),
    ("no-endpoint", "spec.endpointRef", None, ONE),
    ("two-endpoints", "spec.endpoint", OWN, ONE),
    ("endpoint-without-name", "spec.endpointRef", {}, "endpointRef.name: Required value"),
    ("endpoint-elsewhere", "spec.endpointRef.name", "other/llama", "spec.endpointRef.name in body should match"),
    ("own-without-model", "spec", {**FILES, "endpoint": {}}, "endpoint.model: Required value"),
    ("own-of-bad-source", "spec", {**FILES, "endpoint": {"model": {"source": "x"}}}, "model.source must start with"),
    (
        "own-of-bad-arguments",
        "spec",
        {**FILES, "endpoint": {**OWN, "engine": {"args": ["--port=9"]}}},
        "the operator sets them",
    ),
    (
        "own-with-two-counts",
        "spec",
        {**FILES, "endpoint": {**OWN, "replicas": 2, "scaling": {"maxReplicas": 3}}},
        "endpoint.replicas can not be set while endpoint.scaling.mode is Active",
    ),
    ("no-input", "spec.input", None, "spec.input: Required value"),
    ("no-output", "spec.output", {}, "output.uri: Required value"),
    ("input-of-unknown-scheme", "spec.input.uri", "https://x/y.jsonl", f"input.uri {URI}"),
    ("input-without-path", "spec.input.uri", "pvc://prompts", f"input.uri {URI}"),
    ("input-folder", "spec.input.uri", "pvc://prompts/march/", f"input.uri {URI}"),
    ("input-with-an-empty-segment", "spec.input.uri", "pvc://prompts/2026//march.jsonl", f"input.uri {URI}"),
    ("input-of-no-claim", "spec.input.uri", "pvc:///march.jsonl", f"input.uri {URI}"),
    ("input-beyond-the-claim", "spec.input.uri", "pvc://prompts/../march.jsonl", f"input.uri {URI}"),
    ("input-beyond-by-its-end", "spec.input.uri", "pvc://prompts/a/..", f"input.uri {URI}"),
    ("claim-in-capitals", "spec.input.uri", "pvc://Prompts/march.jsonl", f"input.uri {URI}"),
    ("output-without-folder", "spec.output.uri", "s3://answers", f"output.uri {URI}"),
    ("output-with-an-empty-segment", "spec.output.uri", "s3://answers/2026//march", f"output.uri {URI}"),
    (
        "input-in-output",
        "spec",
        {**GOOD["spec"], "input": {"uri": "pvc://data/march/in.jsonl"}, "output": {"uri": "pvc://data/march"}},
        "input.uri must not lie in the folder output.uri",
    ),
    ("s3-without-scheme", "spec.s3.endpointURL", "minio:9000", "spec.s3.endpointURL in body should match"),
    ("s3-with-a-path", "spec.s3.endpointURL", "http://minio:9000/x", "spec.s3.endpointURL in body should match"),
    ("s3-keys-in-the-open", "spec.s3.accessKey", "AKIA", 'unknown field "spec.s3.accessKey"'),
    ("empty-model", "spec.model", "", "at least 1 chars long"),
    ("no-shards", "spec.shards", 0, "greater than or equal to 1"),
    ("too-many-shards", "spec.shards", 257, "less than or equal to 256"),
    ("no-concurrency", "spec.concurrency", 0, "greater than or equal to 1"),
    ("no-attempts", "spec.maxAttempts", 0, "greater than or equal to 1"),
    ("no-time", "spec.timeoutSeconds", 0, "greater than or equal to 1"),
    ("ttl-negative", "spec.ttlSecondsAfterFinished", -1, "greater than or equal to 0"),
    ("suspend-in-words", "spec.suspend", "yes", "spec.suspend"),
]

FIXED: list[tuple[str, Any]] = [
    # path in the object, another value
    ("spec.endpointRef.name", "other"),
    ("spec.endpointRef", None),
    ("spec.input.uri", "pvc://prompts/april.jsonl"),
    ("spec.output.uri", "s3://answers/april"),
    ("spec.s3", None),
    ("spec.s3.region", "eu-2"),
    ("spec.model", "llama"),
    ("spec.shards", 5),
    ("spec.concurrency", 33),
    ("spec.maxAttempts", 4),
    ("spec.timeoutSeconds", 601),
]
"""What can not be changed."""

"""An address of files is taken apart in one place."""

import pytest

from llmendpoint.api.sources import Source


@pytest.mark.parametrize(
    ("uri", "scheme", "root", "path", "claim", "name"),
    [
        ("hf://acme/llama-8b", "hf", "acme/llama-8b", "", None, "acme/llama-8b"),
        ("hf://gpt2", "hf", "gpt2", "", None, "gpt2"),
        ("pvc://models", "pvc", "models", "", "models", "models"),
        ("pvc://models/", "pvc", "models", "", "models", "models"),
        ("pvc://models/llama/8b/", "pvc", "models", "llama/8b", "models", "8b"),
        ("s3://bucket/llama/8b", "s3", "bucket", "llama/8b", None, "8b"),
        ("s3://bucket", "s3", "bucket", "", None, "bucket"),
        ("oci://ghcr.io/acme/llama:8b", "oci", "ghcr.io/acme/llama:8b", "", None, "llama:8b"),
    ],
)
def test_an_address_is_taken_apart(uri: str, scheme: str, root: str, path: str, claim: str | None, name: str) -> None:
    source = Source.of(uri)
    assert (source.scheme, source.root, source.path, source.claim, source.name) == (scheme, root, path, claim, name)
    assert source.uri == uri

"""The environment of our own containers that fetch from a hub or a bucket."""

from collections.abc import Set as AbstractSet

from llmendpoint.api.endpoint import EndpointSpec
from llmendpoint.api.serving import EnvVar
from llmendpoint.manifests.common import Manifest, merged_env, secret_variable, variable
from llmendpoint.manifests.s3 import UNSIGNED, has_credentials, s3_environment

# Of the engine's variables those by which a hub, a bucket or a proxy is found.
PASSED = ("HF_ENDPOINT", "AWS_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")


def passed(spec: EndpointSpec) -> list[EnvVar]:
    """Variables of engine.env that say how a source is reached."""
    return [entry for entry in spec.engine.env if entry.name.startswith(PASSED)]


def fetch_environment(spec: EndpointSpec, schemes: AbstractSet[str]) -> list[Manifest]:
    """Variables for sources of some schemes."""
    model, theirs = spec.model, passed(spec)
    env = [
        # Its client's own files; what is fetched is on the volume.
        variable("HOME", "/tmp"),  # noqa: S108
        variable("HF_HUB_DISABLE_PROGRESS_BARS", "1"),
        variable("HF_HUB_DISABLE_TELEMETRY", "1"),
        variable("HF_HUB_DISABLE_UPDATE_CHECK", "1"),
    ]
    if "hf" in schemes and model.token_secret_ref:
        env.append(secret_variable("HF_TOKEN", model.token_secret_ref))
    if "s3" in schemes:
        env += s3_environment(model.s3)
        if not has_credentials(model.s3) and not any(entry.name == "AWS_ACCESS_KEY_ID" for entry in theirs):
            env.append(UNSIGNED)
    return merged_env(env, theirs)

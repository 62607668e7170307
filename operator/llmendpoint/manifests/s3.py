"""The environment by which clients of S3 find a bucket and say who they are."""

from llmendpoint.api.s3 import S3
from llmendpoint.api.serving import SecretKeyRef
from llmendpoint.manifests.common import Manifest, secret_variable, variable

CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
# For our own pods without credentials: they would look for some themselves, and have those of their node.
UNSIGNED = variable("AWS_SKIP_SIGNATURE", "true")


def s3_environment(s3: S3 | None) -> list[Manifest]:
    """Variables of what is given."""
    env = []
    if s3 and s3.endpoint_url:
        env.append(variable("AWS_ENDPOINT_URL", s3.endpoint_url))
    if s3 and s3.region:
        env.append(variable("AWS_REGION", s3.region))
    if s3 and (secret := s3.credentials_secret_ref):
        env += [secret_variable(name, SecretKeyRef(name=secret.name, key=name)) for name in CREDENTIALS]
    return env


def has_credentials(s3: S3 | None) -> bool:
    """Whether requests are signed."""
    return s3 is not None and s3.credentials_secret_ref is not None

"""How a bucket is reached, the same for batches and for models."""

from pydantic import Field

from llmendpoint.api.base import ApiModel

DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"


class CredentialsRef(ApiModel):
    """A Secret of this object's namespace. The operator passes the reference on and never reads it."""

    name: str = Field(
        description="Name of a Secret with the keys AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
        min_length=1,
        max_length=253,
    )


class S3(ApiModel):
    """How s3:// is reached."""

    endpoint_url: str | None = Field(
        None,
        alias="endpointURL",
        description="URL of an S3-compatible server; Amazon's own when left out.",
        pattern=r"^https?://[^\s/?#]+/?$",
        max_length=1024,
    )
    region: str | None = Field(
        None, description="Region of the buckets; us-east-1 when left out.", pattern=DNS_LABEL, max_length=63
    )
    credentials_secret_ref: CredentialsRef | None = Field(
        None, description="Who asks; left out, requests are not signed, which public buckets allow."
    )

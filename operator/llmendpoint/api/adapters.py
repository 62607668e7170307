"""LoRA adapters that an engine serves beside its model: spec.model.adapters."""

from pydantic import Field

from llmendpoint.api.base import ApiModel
from llmendpoint.api.sources import Source, source_rules

# SGLang takes what follows a colon for an adapter's name.
ADAPTER_NAME = r"^[A-Za-z0-9]([-A-Za-z0-9._/]*[A-Za-z0-9])?$"


class Adapter(ApiModel):
    """One LoRA adapter of the model, served under a name of its own."""

    name: str = Field(
        description="Name by which clients ask for it in place of the model's: status.adapters[].model says how.",
        pattern=ADAPTER_NAME,
        max_length=128,
    )
    source: str = Field(
        description="Where its files are: hf://owner/name, pvc://claim/path, s3://bucket/prefix or oci://image.",
        max_length=1024,
        json_schema_extra=source_rules("model.adapters[].source"),
    )
    revision: str | None = Field(
        None,
        description="Branch, tag or commit of an hf:// adapter; the default branch when left out.",
        min_length=1,
        max_length=256,
    )

    @property
    def origin(self) -> Source:
        """The source, taken apart."""
        return Source.of(self.source)

"""The operator's settings, read from LLMENDPOINT_* environment variables; each default with its reason."""

from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


class Settings(BaseSettings):
    """Everything an administrator can set."""

    model_config = SettingsConfigDict(env_prefix="LLMENDPOINT_", frozen=True)

    watch_namespaces: Annotated[tuple[str, ...], NoDecode] = ()
    """Namespaces to watch, comma-separated. Empty: all of them, which needs a ClusterRole."""

    tick_seconds: float = Field(10.0, gt=0)
    """Time between two readings of the engines. 10 s is the field's high-resolution period."""

    resync_seconds: float = Field(300.0, gt=0)
    """Time between two live listings. A watch can miss deletions; this is how long such a gap may last."""

    scrape_timeout_seconds: float = Field(3.0, gt=0)
    """A busy engine answers /metrics within 70 ms; one that needs seconds is as good as unknown."""

    workers: int = Field(16, ge=1)
    """Reconciles at a time. More do not help: the API server is the limit."""

    engine_images: dict[str, str] = {}
    """Image by engine type that replaces the operator's default, for a mirror or the engine simulator."""

    engine_image_override: bool = False
    """True uses engine_images even where the endpoint names an image. For rehearsals on clusters without GPUs."""

    price_per_gpu_hour: float | None = Field(None, gt=0)
    """Price of one GPU for one hour where an endpoint gives none, in any currency. None: no cost is counted."""

    http_port: int = Field(8080, ge=1, le=65535)
    """Port of /healthz, /readyz and /metrics."""

    log_format: Literal["json", "console"] = "json"
    """JSON for machines; console for people at a terminal."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """debug adds a line for each reconcile."""

    @field_validator("watch_namespaces", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

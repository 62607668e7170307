"""Traces of reconciles, ticks and the requests in them, by OpenTelemetry, where the environment names a collector.

All settings are OpenTelemetry's own, OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_TRACES_SAMPLER for example:
https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

import os

import structlog
from opentelemetry import trace

from llmendpoint.api import names

log = structlog.get_logger(__name__)

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def set_up_tracing() -> None:
    """Send traces by OTLP over HTTP from now on, where a collector is named.

    Without one nothing is loaded, and a span costs a microsecond or two.
    """
    if not any(map(os.environ.get, ENDPOINTS)):
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
        from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        log.warning("no traces: install llmendpoint-operator[tracing]", error=str(error))
        return
    resource = Resource({SERVICE_NAME: names.MANAGED_BY}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    AioHttpClientInstrumentor().instrument()

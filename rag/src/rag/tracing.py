"""Traces of requests and their steps, by OpenTelemetry, where the environment names a collector.

All settings are OpenTelemetry's own, OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_TRACES_SAMPLER for example:
https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

import os

import structlog
from fastapi import FastAPI
from opentelemetry import trace

log = structlog.get_logger(__name__)

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def set_up_tracing(app: FastAPI) -> None:
    """Send traces by OTLP over HTTP from now on, where a collector is named; without one nothing is loaded."""
    if not any(map(os.environ.get, ENDPOINTS)):
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
        from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
        from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        log.warning("no traces: install llm-twin-rag[tracing]", error=str(error))
        return
    resource = Resource({SERVICE_NAME: "llm-twin-rag"}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    FastAPIInstrumentor.instrument_app(app, excluded_urls="healthz,metrics")
    HTTPXClientInstrumentor().instrument()

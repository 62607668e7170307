"""What Prometheus sees."""

from prometheus_client import Counter, Gauge, Histogram

STEP_SECONDS = Histogram(
    "rag_step_seconds",
    "Seconds that a step of a request took.",
    ["step"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
DEGRADED = Counter("rag_degraded", "Steps that were left out or went wrong, while the request was answered.", ["step"])
REQUESTS = Counter("rag_requests", "Questions by how they ended.", ["outcome"])
IN_FLIGHT = Gauge("rag_requests_in_flight", "Questions that are being answered.")
PASSAGES = Gauge("rag_store_passages", "Passages in the store, as of its last count.")

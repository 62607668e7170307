"""Every metric that the operator exports: its name, type, labels and meaning. docs/metrics.md is made from these."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True)
class Family:
    """One metric. All values of a label are few: an endpoint's name is one only while the endpoint exists."""

    name: str
    kind: Kind
    meaning: str
    labels: tuple[str, ...] = ()


OF_ENDPOINT = ("namespace", "name")

LEADER = Family("llmendpoint_leader", "gauge", "1 in the replica that works, 0 in one that stands by.")

# The operator itself: controller-runtime's set in meaning.
RECONCILES = Family(
    "llmendpoint_reconcile_total",
    "counter",
    "Reconciles by result: ok, error (the API server did not do what was asked), bug.",
    ("result",),
)
RECONCILE_SECONDS = Family("llmendpoint_reconcile_duration_seconds", "histogram", "Time of one reconcile.")
WORKERS = Family("llmendpoint_reconcile_workers", "gauge", "Reconciles that may run at a time.")
WORKERS_ACTIVE = Family("llmendpoint_reconcile_workers_active", "gauge", "Reconciles that run now.")
QUEUE_DEPTH = Family("llmendpoint_workqueue_depth", "gauge", "Endpoints that wait for a reconcile.")
QUEUE_ADDS = Family("llmendpoint_workqueue_adds_total", "counter", "Endpoints put in the work queue.")
QUEUE_RETRIES = Family("llmendpoint_workqueue_retries_total", "counter", "Those put there again after a failure.")
QUEUE_SECONDS = Family(
    "llmendpoint_workqueue_queue_duration_seconds", "histogram", "Time that an endpoint waited in the work queue."
)
QUEUE_OLDEST = Family("llmendpoint_workqueue_oldest_wait_seconds", "gauge", "Wait of the one at the head of the queue.")
QUEUE_LONGEST = Family(
    "llmendpoint_workqueue_longest_running_seconds", "gauge", "Time that the longest reconcile has run so far."
)
API_REQUESTS = Family(
    "llmendpoint_api_requests_total",
    "counter",
    "Requests to the API server, watches aside, by method and status; code is <error> where there was no answer.",
    ("verb", "code"),
)
API_SECONDS = Family(
    "llmendpoint_api_request_duration_seconds",
    "histogram",
    "Time of one request to the API server, without the wait for its turn.",
    ("verb",),
)
WRITES = Family("llmendpoint_writes_total", "counter", "Writes that were done, by verb and kind.", ("verb", "kind"))
RESYNCS = Family(
    "llmendpoint_resync_total", "counter", "Listings of all objects by result: ok, error, bug.", ("result",)
)
RESYNC_AT = Family("llmendpoint_last_resync_timestamp_seconds", "gauge", "When the last listing succeeded.")

# The scaler.
TICK_SECONDS = Family("llmendpoint_tick_duration_seconds", "histogram", "Time to read and decide on all endpoints.")
TICK_PERIOD = Family("llmendpoint_tick_period_seconds", "gauge", "Time between two ticks, as set.")
TICK_OVERRUNS = Family("llmendpoint_tick_overruns_total", "counter", "Ticks that took longer than the period.")
TICK_ERRORS = Family(
    "llmendpoint_tick_errors_total",
    "counter",
    "Endpoints that a tick could not decide on by a bug; the log says which.",
)
SCRAPES = Family(
    "llmendpoint_scrapes_total",
    "counter",
    "Readings of engine pods by result: ok, empty (no metric of the engine in it), error (not 200), refused, timeout.",
    ("result",),
)

# Each endpoint.
REPLICAS = Family(
    "llmendpoint_replicas",
    "gauge",
    "Engine replicas by state: ready, starting, unready (served before), unschedulable, draining.",
    (*OF_ENDPOINT, "state"),
)
DEMAND = Family(
    "llmendpoint_demand_replicas", "gauge", "Replicas that the policy asks for, before any rule.", OF_ENDPOINT
)
DESIRED = Family("llmendpoint_desired_replicas", "gauge", "Replicas that the scaler wants.", OF_ENDPOINT)
MIN_REPLICAS = Family(
    "llmendpoint_min_replicas", "gauge", "The lower bound that holds now, schedules included.", OF_ENDPOINT
)
MAX_REPLICAS = Family(
    "llmendpoint_max_replicas", "gauge", "The upper bound that holds now, schedules included.", OF_ENDPOINT
)
HOLD = Family(
    "llmendpoint_decision_hold",
    "gauge",
    "1 while a rule keeps the scaler from what the policy asks for; reason is the rule.",
    (*OF_ENDPOINT, "reason"),
)
SCALE_CHANGES = Family(
    "llmendpoint_scale_changes_total", "counter", "Changes of the replica count: out, in.", (*OF_ENDPOINT, "direction")
)
RUNNING = Family("llmendpoint_requests_running", "gauge", "Requests that engines work on.", OF_ENDPOINT)
WAITING = Family("llmendpoint_requests_waiting", "gauge", "Requests that wait in engines.", OF_ENDPOINT)
HELD = Family("llmendpoint_requests_held", "gauge", "Requests that wait at the activator for a replica.", OF_ENDPOINT)
JOBS = Family(
    "llmendpoint_queue_jobs",
    "gauge",
    "Jobs of spec.async by state: queued, in_progress. None where the last tick did not know.",
    (*OF_ENDPOINT, "state"),
)
OLDEST_JOB = Family("llmendpoint_queue_oldest_job_seconds", "gauge", "Wait of the oldest queued job.", OF_ENDPOINT)
JOB_LIMIT = Family(
    "llmendpoint_queue_oldest_job_limit_seconds", "gauge", "How long a job should wait at most, as set.", OF_ENDPOINT
)
UNREAD = Family(
    "llmendpoint_unread_replicas", "gauge", "Serving replicas whose metrics the last tick did not get.", OF_ENDPOINT
)
COLD_START = Family(
    "llmendpoint_cold_start_seconds",
    "gauge",
    "Time from a pod's creation to ready, of the last 20: quantiles 0.5 and 0.9.",
    (*OF_ENDPOINT, "quantile"),
)
OLDEST_START = Family(
    "llmendpoint_oldest_start_seconds",
    "gauge",
    "Age of the oldest replica that has a node and has not served yet; 0 where none starts.",
    OF_ENDPOINT,
)
CONDITION = Family(
    "llmendpoint_condition",
    "gauge",
    "A condition of the status, with its reason: 1 where it is True, else 0.",
    (*OF_ENDPOINT, "type", "reason"),
)
GPUS = Family("llmendpoint_gpus", "gauge", "GPUs that the engine's pods hold.", OF_ENDPOINT)
GPU_HOURS = Family(
    "llmendpoint_gpu_hours_total",
    "counter",
    "GPU-hours of the engine's pods on nodes, kept over restarts.",
    OF_ENDPOINT,
)
COST = Family("llmendpoint_cost_total", "counter", "Their cost at the price per GPU-hour.", OF_ENDPOINT)
DRY_RUN_GPU_HOURS = Family(
    "llmendpoint_dry_run_gpu_hours_total", "counter", "GPU-hours that mode DryRun would have used.", OF_ENDPOINT
)
DRY_RUN_COST = Family("llmendpoint_dry_run_cost_total", "counter", "Cost that mode DryRun would have had.", OF_ENDPOINT)

OPERATOR = (
    LEADER, RECONCILES, RECONCILE_SECONDS, WORKERS, WORKERS_ACTIVE, QUEUE_DEPTH, QUEUE_ADDS, QUEUE_RETRIES,
    QUEUE_SECONDS, QUEUE_OLDEST, QUEUE_LONGEST, API_REQUESTS, API_SECONDS, WRITES, RESYNCS, RESYNC_AT,
)  # fmt: skip
SCALER = (TICK_SECONDS, TICK_PERIOD, TICK_OVERRUNS, TICK_ERRORS, SCRAPES)
ENDPOINT = (
    REPLICAS, DEMAND, DESIRED, MIN_REPLICAS, MAX_REPLICAS, HOLD, SCALE_CHANGES, RUNNING, WAITING, HELD, JOBS,
    OLDEST_JOB, JOB_LIMIT, UNREAD, COLD_START, OLDEST_START, CONDITION, GPUS, GPU_HOURS, COST, DRY_RUN_GPU_HOURS,
    DRY_RUN_COST,
)  # fmt: skip

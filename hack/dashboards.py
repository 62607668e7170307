"""The Grafana dashboards of the chart: all endpoints with their operator, and one endpoint.

Of two operators only the leader has an endpoint's series. Each query takes the largest, so that a change of leader
shows no endpoint twice.
"""

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboard_panels import BLUE, GREEN, GREY, RED, YELLOW, Board, Panel, Query, lines, number, table_of, timeline

OVERVIEW, ENDPOINT = "llmendpoint-overview", "llmendpoint-endpoint"
ALL = 'namespace=~"$namespace"'
ONE = 'namespace="$namespace",name="$endpoint"'
NAMED = "{{namespace}}/{{name}}"


def each(metric: str, labels: str = ALL) -> str:
    """The value of each endpoint."""
    return f"max by (namespace, name) ({metric}{{{labels}}})"


def of_state(state: str, labels: str) -> str:
    """Replicas of each endpoint in a state."""
    return each("llmendpoint_replicas", f'{labels},state="{state}"')


def per_hour(metric: str, labels: str) -> str:
    """How much a counter grows in an hour, of all its series."""
    return f"sum(rate({metric}{{{labels}}}[$__rate_interval])) * 3600"


def used(metric: str, labels: str) -> str:
    """How much a counter of each endpoint grew in the shown time."""
    return f"sum by (namespace, name) (increase({metric}{{{labels}}}[$__range]))"


def rate(metric: str, by: str) -> str:
    """Per second, of all operators."""
    return f"sum by ({by}) (rate({metric}[$__rate_interval]))"


def quantile(share: float, metric: str, by: str = "") -> str:
    """A quantile of a histogram, of all operators."""
    return f"histogram_quantile({share}, sum by (le{by}) (rate({metric}_bucket[$__rate_interval])))"


def pages() -> dict[str, str]:
    """Name of each dashboard -> its JSON."""
    boards = {OVERVIEW: _overview(), ENDPOINT: _endpoint()}
    return {name: JSONEncoder(sort_keys=True, indent=2).encode(board.made()) + "\n" for name, board in boards.items()}


def _overview() -> Board:
    board = Board(OVERVIEW, "LLMEndpoint / Overview", "All LLMEndpoints, what they hold and what they cost.")
    board.choose("namespace", "label_values(llmendpoint_condition, namespace)", several=True)
    unready = each("llmendpoint_condition", ALL + ',type="Ready"')
    board.row(
        "Now",
        number("Endpoints", f"count({of_state('ready', ALL)})", "Those that have an engine."),
        number("Not ready", f"count({unready} == 0) or vector(0)", "Condition Ready is not True.", bad_from=1),
        number("Replicas ready", f"sum({of_state('ready', ALL)})", "Engine replicas that serve."),
        number("Requests waiting", f"sum({each('llmendpoint_requests_waiting')})", "In the engines' queues."),
        number("GPUs held", f"sum({each('llmendpoint_gpus')})", "Of engine pods that are on a node."),
        number(
            "Cost per hour",
            per_hour("llmendpoint_cost_total", ALL),
            "At the price per GPU-hour, in its currency.",
            decimals=2,
        ),
        _table_of_endpoints(),
    )
    board.row(
        "Load and size",
        lines("Ready replicas", [Query(of_state("ready", ALL), NAMED)], stacked=True, steps=True),
        lines("Requests waiting", [Query(each("llmendpoint_requests_waiting"), NAMED)], stacked=True),
        lines("GPUs held", [Query(each("llmendpoint_gpus"), NAMED)], stacked=True, steps=True),
        lines(
            "Endpoints held by a rule",
            [
                Query(
                    f"count by (reason) (max by (namespace, name, reason) (llmendpoint_decision_hold{{{ALL}}}))",
                    "{{reason}}",
                )
            ],
            "The policy asks for another count, and a rule keeps it.",
            stacked=True,
            steps=True,
        ),
    )
    _add_operator(board)
    return board


def _table_of_endpoints() -> Panel:
    return table_of(
        "Endpoints",
        "GPU-hours and cost are those of the shown time. A click on a name opens its page.",
        {
            "Is ready": f'max by (namespace, name, reason) (llmendpoint_condition{{{ALL},type="Ready"}})',
            "Ready": of_state("ready", ALL),
            "Desired": each("llmendpoint_desired_replicas"),
            "Demand": each("llmendpoint_demand_replicas"),
            "Most": each("llmendpoint_max_replicas"),
            "Waiting": each("llmendpoint_requests_waiting"),
            "Unread": each("llmendpoint_unread_replicas"),
            "GPUs": each("llmendpoint_gpus"),
            "GPU-hours": used("llmendpoint_gpu_hours_total", ALL),
            "Cost": used("llmendpoint_cost_total", ALL),
        },
        labels={"namespace": "Namespace", "name": "Endpoint", "reason": "Reason"},
        link=(
            "Endpoint",
            f"/d/{ENDPOINT}?var-namespace=${{__data.fields.Namespace}}&var-endpoint=${{__value.raw}}"
            "&${datasource:queryparam}&${__url_time_range}",
        ),
        words={"Is ready": {"0": ("no", RED), "1": ("yes", GREEN)}},
        decimals={"GPU-hours": 2, "Cost": 2},
    )


def _add_operator(board: Board) -> None:
    ours = "and on (namespace, pod, instance) llmendpoint_reconcile_workers"
    board.row(
        "Operator",
        lines("Reconciles", [Query(rate("llmendpoint_reconcile_total", "result"), "{{result}}")], unit="ops"),
        lines(
            "Reconcile time",
            [
                Query(quantile(0.5, "llmendpoint_reconcile_duration_seconds"), "median"),
                Query(quantile(0.99, "llmendpoint_reconcile_duration_seconds"), "99 %"),
                Query("max(llmendpoint_workqueue_longest_running_seconds)", "longest running now"),
            ],
            unit="s",
        ),
        lines(
            "Work queue",
            [
                Query("max(llmendpoint_workqueue_depth)", "waiting"),
                Query("max(llmendpoint_reconcile_workers_active)", "worked on"),
                Query("sum(rate(llmendpoint_workqueue_retries_total[$__rate_interval])) * 60", "retries per minute"),
            ],
        ),
        lines(
            "Wait in the work queue",
            [
                Query(quantile(0.99, "llmendpoint_workqueue_queue_duration_seconds"), "99 %"),
                Query("max(llmendpoint_workqueue_oldest_wait_seconds)", "oldest now"),
            ],
            unit="s",
        ),
        lines(
            "API requests",
            [Query(rate("llmendpoint_api_requests_total", "verb, code"), "{{verb}} {{code}}")],
            unit="reqps",
        ),
        lines(
            "API request time, 99 %",
            [Query(quantile(0.99, "llmendpoint_api_request_duration_seconds", ", verb"), "{{verb}}")],
            unit="s",
        ),
        lines(
            "Tick",
            [
                Query(quantile(0.99, "llmendpoint_tick_duration_seconds"), "99 %"),
                Query("max(llmendpoint_tick_period_seconds)", "period"),
            ],
            "Reading and deciding on all endpoints must take less than the period.",
            unit="s",
        ),
        lines("Scrapes of engines", [Query(rate("llmendpoint_scrapes_total", "result"), "{{result}}")], unit="ops"),
        lines("Memory", [Query(f"process_resident_memory_bytes {ours}", "{{pod}}")], unit="bytes"),
        lines(
            "Processors in use",
            [Query(f"rate(process_cpu_seconds_total[$__rate_interval]) {ours}", "{{pod}}")],
            "The operator can use one.",
        ),
    )


def _endpoint() -> Board:
    board = Board(ENDPOINT, "LLMEndpoint / Endpoint", "One LLMEndpoint: what it is asked, has, holds and costs.")
    board.choose("namespace", "label_values(llmendpoint_condition, namespace)")
    board.choose("endpoint", 'label_values(llmendpoint_condition{namespace="$namespace"}, name)')
    unread = each("llmendpoint_unread_replicas", ONE)
    board.row(
        "Now",
        number("Ready", of_state("ready", ONE), "Replicas that serve."),
        number("Desired", each("llmendpoint_desired_replicas", ONE), "Replicas that the scaler wants."),
        number("Demand", each("llmendpoint_demand_replicas", ONE), "What the policy asks for, before any rule."),
        number("Unread", unread, "Serving replicas without metrics.", bad_from=1),
        number("GPU-hours", used("llmendpoint_gpu_hours_total", ONE), "In the shown time.", decimals=2),
        number(
            "Cost", used("llmendpoint_cost_total", ONE), "In the shown time, at the price per GPU-hour.", decimals=2
        ),
    )
    board.row(
        "Size",
        lines(
            "Demand, desired, ready",
            [
                Query(each("llmendpoint_demand_replicas", ONE), "demand"),
                Query(each("llmendpoint_desired_replicas", ONE), "desired"),
                Query(of_state("ready", ONE), "ready"),
                Query(each("llmendpoint_min_replicas", ONE), "fewest"),
                Query(each("llmendpoint_max_replicas", ONE), "most"),
            ],
            "Demand is the policy's wish, desired what the rules leave of it. Dashed: the bounds that hold.",
            steps=True,
            colors={"demand": YELLOW, "desired": BLUE, "ready": GREEN, "fewest": GREY, "most": GREY},
            dashed=("fewest", "most"),
            span=24,
        ),
        timeline(
            "Holds",
            Query(f"max by (reason) (llmendpoint_decision_hold{{{ONE}}})", "{{reason}}"),
            "Which rule kept the scaler from what the policy asks for. status.scaling.decision says why.",
            {"1": ("holds", YELLOW)},
        ),
        timeline(
            "Conditions",
            Query(f"max by (type) (llmendpoint_condition{{{ONE}}})", "{{type}}"),
            "The conditions of the status. kubectl describe says why.",
            {"1": ("True", GREEN), "0": ("not True", RED)},
        ),
        lines(
            "Replicas by state",
            [Query(f"max by (state) (llmendpoint_replicas{{{ONE}}})", "{{state}}")],
            stacked=True,
            steps=True,
            colors={"ready": GREEN, "starting": BLUE, "unready": YELLOW, "unschedulable": RED, "draining": GREY},
        ),
        lines(
            "Changes of size",
            [
                Query(
                    f"sum by (direction) (increase(llmendpoint_scale_changes_total{{{ONE}}}[$__rate_interval]))",
                    "{{direction}}",
                )
            ],
            bars=True,
        ),
    )
    board.row(
        "Load and readings",
        lines(
            "Requests",
            [
                Query(each("llmendpoint_requests_running", ONE), "running"),
                Query(each("llmendpoint_requests_waiting", ONE), "waiting"),
                Query(each("llmendpoint_requests_held", ONE), "held by the activator"),
            ],
            "Waiting ones see a later first token; those that the activator holds wait for a replica to start.",
            stacked=True,
            colors={"running": GREEN, "waiting": YELLOW, "held by the activator": BLUE},
        ),
        lines(
            "Jobs",
            [
                Query(each("llmendpoint_queue_jobs", ONE + ',state="in_progress"'), "in work"),
                Query(each("llmendpoint_queue_jobs", ONE + ',state="queued"'), "waiting"),
            ],
            "Of spec.async, in its queue. Those in work are among the requests as well.",
            stacked=True,
            colors={"in work": GREEN, "waiting": YELLOW},
        ),
        lines(
            "Oldest job",
            [
                Query(each("llmendpoint_queue_oldest_job_seconds", ONE), "waits for"),
                Query(each("llmendpoint_queue_oldest_job_limit_seconds", ONE), "should wait at most"),
            ],
            "Dashed: async.oldestSeconds, above which each scale-out orders one replica more.",
            unit="s",
            colors={"waits for": YELLOW, "should wait at most": GREY},
            dashed=("should wait at most",),
        ),
        lines(
            "Unread replicas",
            [Query(unread, "unread")],
            "Serving replicas whose metrics the last tick did not get: no scale-in meanwhile.",
            steps=True,
        ),
        lines(
            "Time to start",
            [
                Query(f"max by (quantile) (llmendpoint_cold_start_seconds{{{ONE}}})", "learned, quantile {{quantile}}"),
                Query(each("llmendpoint_oldest_start_seconds", ONE), "starting now"),
            ],
            "From a pod's creation to ready.",
            unit="s",
        ),
        lines("GPUs held", [Query(each("llmendpoint_gpus", ONE), "GPUs")], steps=True),
        lines(
            "GPU-hours per hour",
            [
                Query(per_hour("llmendpoint_gpu_hours_total", ONE), "are"),
                Query(per_hour("llmendpoint_dry_run_gpu_hours_total", ONE), "mode DryRun would have"),
            ],
            decimals=2,
        ),
        lines(
            "Cost per hour",
            [
                Query(per_hour("llmendpoint_cost_total", ONE), "is"),
                Query(per_hour("llmendpoint_dry_run_cost_total", ONE), "mode DryRun would have"),
            ],
            "At the price per GPU-hour, in its currency.",
            decimals=2,
        ),
    )
    return board

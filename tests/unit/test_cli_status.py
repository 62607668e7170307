"""What status says of endpoints, at a terminal of 80 columns and to programs."""

import io
from typing import Any

import pytest
from rich.console import Console

from llmendpoint.api.endpoint import Endpoint
from llmendpoint.cli.status_facts import facts_of
from llmendpoint.cli.status_output import print_list, print_one
from llmendpoint.cli.terminal import absolute, relative, span
from support.builders import NOW, endpoint

NOW_TEXT = "2025-06-15T15:06:40Z"
EARLIER = "2025-06-15T14:06:40Z"
DECISION = {
    "time": "2025-06-15T15:05:40Z", "sentence": "demand 1.6 replicas; want 3, have 4 + 0 starting; stay at 4",
    "reason": "Held", "current": 4, "raw": 3, "desired": 4, "heldBy": "HoldWindow",
    "heldUntil": "2025-06-15T15:10:40Z",
    "clamps": [{"name": "HoldWindow", "before": 3, "after": 4, "detail": "4 replicas were needed within 300 s"}],
}  # fmt: skip
CHANGES = [{"time": EARLIER, "fromReplicas": 1 + at, "toReplicas": 2 + at, "sentence": "scale out"} for at in range(5)]
SCALING = {
    "desiredReplicas": 4, "decision": DECISION, "history": CHANGES,
    "coldStartSeconds": {"p50": 52.0, "p90": 61.0, "samples": 4},
}  # fmt: skip
USAGE = {"since": "2025-06-01T00:00:00Z", "asOf": EARLIER, "gpus": 4, "gpuHours": 10.0, "cost": 20.0}
ACTIVE = {"minReplicas": 1, "maxReplicas": 10}


def condition(kind: str, status: str, reason: str, message: str = "as it is") -> dict[str, Any]:
    return {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": EARLIER}


def seen(*conditions: dict[str, Any], scaling: dict[str, Any] | None = ACTIVE, **status: Any) -> Endpoint:
    """An endpoint of which the operator has said something."""
    ready = conditions or (condition("Ready", "True", "AllReplicasReady"),)
    wire = {
        "observedGeneration": 1, "replicas": 4, "readyReplicas": 3, "conditions": list(ready), "scaling": SCALING,
        "usage": USAGE, **status,
    }  # fmt: skip
    return endpoint(status=wire, **({"scaling": scaling} if scaling else {}))


def shown(found: Endpoint, width: int = 80) -> str:
    console = Console(width=width, markup=False, highlight=False, file=io.StringIO(), record=True)
    print_one(console, facts_of(found, NOW), NOW)
    return console.export_text()


def listed(*found: Endpoint, namespaces: bool = True, wide: bool = False, width: int = 80) -> list[str]:
    console = Console(width=width, markup=False, highlight=False, file=io.StringIO(), record=True)
    print_list(console, [facts_of(one, NOW) for one in found], NOW, namespaces=namespaces, wide=wide)
    return console.export_text().splitlines()


def test_one_endpoint_has_all_that_is_to_be_said_within_80_columns() -> None:
    text = shown(seen())
    assert max(map(len, text.splitlines())) <= 80
    words = " ".join(text.replace("│", " ").split())
    for part in (
        "llama in team ✓ AllReplicasReady",
        "●●●◐ 3 ready, 1 starting, 4 wanted of 1 to 10",
        "Active, policy Demand",
        "HoldWindow until 15:10:40 UTC, in 4 min: 4 replicas were needed within 300 s",
        "acme/llama on vLLM, 1 GPU a replica",
        "http://llama.team.svc:80",
        "52 s, 90 % within 61 s (4 starts seen)",
        "✓ Ready AllReplicasReady, 1 h ago: as it is",
        "want 3, have 4 + 0 starting; stay at 4",
        "14:06:40 UTC, 1 h ago 1 -> 2",
        "2 more, and why: llmendpoint history llama -n team",
    ):
        assert part in words


def test_gpu_hours_are_counted_on_to_now_and_cost_where_the_price_is_known() -> None:
    priced = facts_of(seen(scaling={**ACTIVE, "pricePerGPUHour": 2.5}), NOW).usage
    assert priced is not None
    assert (priced.gpu_hours, priced.cost, priced.cost_as_of) == (14.0, 30.0, NOW_TEXT)
    other = facts_of(seen(), NOW).usage
    assert other is not None
    assert (other.gpu_hours, other.cost, other.cost_as_of) == (14.0, 20.0, EARLIER)
    assert "cost 20.00 until 14:06:40 UTC" in " ".join(shown(seen(), 160).split())


@pytest.mark.parametrize(
    ("conditions", "health", "reason"),
    [
        ((condition("Ready", "False", "Unschedulable"),), "Failing", "Unschedulable"),
        ((condition("Ready", "False", "ReplicasStarting"),), "Underway", "ReplicasStarting"),
        ((condition("ScalingActive", "True", "ScalerActive"),), "Unseen", "NotSeenYet"),
    ],
)
def test_what_fails_and_what_takes_its_time_are_told_apart(conditions: Any, health: str, reason: str) -> None:
    facts = facts_of(seen(*conditions), NOW)
    assert (facts.health, facts.reason) == (health, reason)


def test_a_change_that_the_operator_has_not_seen_is_no_success() -> None:
    facts = facts_of(seen(observedGeneration=0), NOW)
    assert (facts.health, facts.reason) == ("Unseen", "ChangeNotSeenYet")


def test_a_new_endpoint_is_shown_although_nothing_is_known_of_it() -> None:
    text = shown(endpoint(scaling=ACTIVE))
    assert "The operator has said nothing of it yet" in text
    assert "0 ready, 0 starting, 0 wanted of 1 to 10" in text


def test_a_dry_run_says_what_the_scaler_would_run() -> None:
    text = shown(seen(scaling={**ACTIVE, "mode": "DryRun"}))
    assert "the scaler would run 4" in text


def test_mode_off_has_no_policy_and_no_hold() -> None:
    facts = facts_of(seen(scaling={**ACTIVE, "mode": "Off"}), NOW)
    assert (facts.mode, facts.policy, facts.hold) == ("Off", None, None)
    assert "Off: spec.replicas counts" in shown(seen(scaling=None))


def test_what_users_wrote_is_no_markup() -> None:
    text = shown(seen(condition("Ready", "False", "CrashLoop", "[bold]no[/bold] :smile: [/]")))
    assert "[bold]no[/bold] :smile: [/]" in text


def test_a_list_is_a_line_each_within_80_columns() -> None:
    lines = listed(seen(), seen(condition("Ready", "False", "Unschedulable")))
    assert [line.split() for line in lines] == [
        ["NAMESPACE", "NAME", "READY", "STATE", "MODE", "GPU-H", "HELD", "BY"],
        ["team", "llama", "3/4", "✓", "Ready", "Active", "14.0", "HoldWindow,", "in", "4", "min"],
        ["team", "llama", "3/4", "✗", "Unschedulable", "Active", "14.0", "HoldWindow,", "in", "4", "min"],
    ]


def test_a_wide_list_has_more() -> None:
    heading, line = listed(seen(), wide=True, width=1000)
    assert heading.split()[-7:] == ["COST", "COLD", "START", "POLICY", "BOUNDS", "MODEL", "URL"]
    words = ["20.00", "52", "s", "Demand", "1", "to", "10", "acme/llama", "http://llama.team.svc:80"]
    assert line.split()[-9:] == words


def test_programs_get_the_names_of_the_api() -> None:
    wire = facts_of(seen(), NOW).to_wire()
    assert wire["replicas"] == {"desired": 4, "ready": 3, "starting": 1, "least": 1, "most": 10}
    assert wire["hold"] == {
        "rule": "HoldWindow", "wanted": 3, "until": "2025-06-15T15:10:40Z",
        "detail": "4 replicas were needed within 300 s",
    }  # fmt: skip
    assert wire["usage"]["gpuHours"] == 14.0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59.4, "59 s"), (60, "1 min"), (90, "1 min 30 s"), (650, "10 min"), (3600, "1 h"),
     (3700, "1 h 1 min"), (90_000, "1 d 1 h"), (1_000_000, "11 d"), (-5, "0 s")],
)  # fmt: skip
def test_spans_have_two_units_at_most(seconds: float, words: str) -> None:
    assert span(seconds) == words


def test_times_are_said_from_now_and_in_utc() -> None:
    assert relative(EARLIER, NOW) == "1 h ago"
    assert relative("2025-06-15T15:07:00Z", NOW) == "in 20 s"
    assert absolute(EARLIER, NOW) == "14:06:40"
    assert absolute("2025-06-14T15:07:00Z", NOW) == "2025-06-14 15:07:00"

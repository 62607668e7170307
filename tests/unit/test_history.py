"""What an endpoint was asked, from counters of its engine pods: restarts, new pods, gaps, and what is in flight."""

from typing import Any

import pytest

from llmendpoint.engines import engine_for
from llmendpoint.metrics.history import Asked, asked
from llmendpoint.metrics.prometheus_server import Unanswered

NAMES = engine_for("TGI").metrics
START, STEP = 1_750_000_000.0, 60.0


class Server:
    """Answers with the series of the metric that a query names."""

    strange = "strange"

    def __init__(self, **series: list[list[float | None]]) -> None:
        self._series = series
        self.queries: list[str] = []

    async def ask_range(self, query: str, start: float, end: float, step: float) -> list[Any]:
        self.queries.append(query)
        assert (start, end, step) == (START, START + 3 * STEP, STEP)
        found = next((rows for name, rows in self._series.items() if f'"{name}"' in query), [])
        return [
            {"values": [[START + at * STEP, str(value)] for at, value in enumerate(row) if value is not None]}
            for row in found
        ]


async def steps(server: Any) -> list[Asked]:
    return await asked(server, NAMES, "team", "llama", until=START + 3 * STEP, steps=3, seconds=STEP)


async def test_requests_are_what_finished_and_the_change_of_what_is_in_flight() -> None:
    server = Server(
        tgi_request_success=[[100, 110, 130, 130]],
        tgi_request_failure=[[5, 5, 10, 10]],
        tgi_queue_size=[[0, 4, 0, 0]],
        tgi_batch_current_size=[[2, 2, 1, 0]],
        tgi_request_input_length_sum=[[0, 5_000, 30_000, 30_000]],
        tgi_request_generated_tokens_sum=[[0, 1_000, 2_250, 2_250]],
    )
    assert await steps(server) == [
        Asked(14, 500, 100),
        Asked(19, 1_000, 50),
        Asked(0, pytest.approx(30_000 / 35), pytest.approx(2_250 / 35)),
    ]
    assert all('namespace="team", pod=~"llama-engine-.+"' in query for query in server.queries)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[100, 110, 3, 5]], [10, 3, 2]),
        ([[100, 100, 100, 100], [None, None, 7, 9]], [0, 7, 2]),
        ([[100, None, None, 130]], [0, 0, 30]),
        ([[100, 104, None, None]], [4, 0, 0]),
        ([], [0, 0, 0]),
    ],
    ids=["a-restart", "a-new-pod", "a-gap", "a-pod-that-went", "nothing"],
)
async def test_counters_begin_end_and_are_not_seen_at_times(rows: Any, expected: list[float]) -> None:
    assert [step.requests for step in await steps(Server(tgi_request_success=rows))] == expected


async def test_a_gauge_that_is_older_than_the_counter_makes_no_request_of_its_own() -> None:
    server = Server(tgi_request_success=[[0, 6, 6, 7]], tgi_batch_current_size=[[0, 1, 0, 0]])
    assert [step.requests for step in await steps(server)] == [6, 0, 1]


async def test_an_answer_of_another_form_is_said() -> None:
    class Impostor(Server):
        async def ask_range(self, *_: Any) -> list[Any]:
            return [{"no": "values"}]

    with pytest.raises(Unanswered, match="strange"):
        await steps(Impostor())

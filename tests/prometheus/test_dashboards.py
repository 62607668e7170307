"""The chart's dashboards: each query gives series on a real Prometheus that collects what the operator exports."""

import asyncio
import itertools
import json
import re
import threading
import time
from collections.abc import Iterator
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import httpx
import pytest

from llmendpoint.metrics import families
from localcluster.paths import ROOT
from support.exports import TROUBLED, WELL, filled_exporter, work
from support.prometheus import Prometheus
from support.promql import metrics_in

BOARDS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text())
    for path in sorted((ROOT / "charts" / "llmendpoint-operator" / "files" / "dashboards").iterdir())
}
PANELS = [
    pytest.param(panel, id=f"{name}: {panel['title']}")
    for name, board in BOARDS.items()
    for panel in board["panels"]
    if panel["type"] != "row"
]
QUERIES = [
    pytest.param(target["expr"], id=f"{panel.id} {target['refId']}")
    for panel in PANELS
    for target in panel.values[0]["targets"]
]
SOURCE = {"type": "prometheus", "uid": "${datasource}"}


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def collected(prometheus: Prometheus) -> Iterator[Prometheus]:
    """A server that has collected the operator's metrics a few times."""
    exporter = asyncio.run(filled_exporter())

    def answer(_: object, start: Any) -> list[bytes]:
        work(exporter)
        start("200 OK", [("Content-Type", "text/plain; version=0.0.4")])
        return [exporter.text()]

    with make_server("127.0.0.1", 0, answer, handler_class=Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        prometheus.scrape({("llmendpoint-system", "operator-1"): f"127.0.0.1:{server.server_port}"}, job="operator")
        end = time.monotonic() + 60
        while not prometheus.values('count_over_time(llmendpoint_reconcile_total{result="ok"}[1m]) > 3'):
            assert time.monotonic() < end, "nothing is collected"
            time.sleep(0.5)
        yield prometheus
        server.shutdown()


@pytest.mark.parametrize("expr", QUERIES)
def test_each_query_gives_series(collected: Prometheus, expr: str) -> None:
    namespace, name = WELL if "dry_run" in expr or "cost" in expr or "scale_changes" in expr else TROUBLED
    values = {
        "$__rate_interval": "1m", "$__range": "1m", "$namespace": namespace, "$endpoint": name,
    }  # fmt: skip
    for variable, value in values.items():
        expr = expr.replace(variable, value)
    assert "$" not in expr
    answer = httpx.get(f"{collected.url}/api/v1/query", params={"query": expr}).json()
    assert answer["status"] == "success", answer
    assert answer["data"]["result"], expr


def test_an_endpoint_is_under_its_own_namespace(collected: Prometheus) -> None:
    assert collected.values('llmendpoint_desired_replicas{namespace="team",name="llama",pod="operator-1"}') == [3]
    assert collected.values('llmendpoint_reconcile_workers{namespace="llmendpoint-system"}') == [16]


@pytest.mark.parametrize("panel", PANELS)
def test_each_panel_is_whole(panel: dict[str, Any]) -> None:
    assert panel["datasource"] == SOURCE
    assert all(target["datasource"] == SOURCE for target in panel["targets"])
    references = [target["refId"] for target in panel["targets"]]
    assert len(references) == len(set(references))
    assert panel["fieldConfig"]["defaults"]["unit"]
    if panel["type"] == "timeseries":
        assert all(target["legendFormat"] for target in panel["targets"])


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_each_board_is_whole(board: dict[str, Any]) -> None:
    assert re.fullmatch(r"[a-z-]{1,40}", board["uid"])
    assert board["templating"]["list"][0]["name"] == "datasource"
    numbers = [panel["id"] for panel in board["panels"]]
    assert len(set(numbers)) == len(numbers)
    for one, other in itertools.combinations([panel["gridPos"] for panel in board["panels"]], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above, (one, other)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in board["panels"])


def test_every_metric_of_an_endpoint_is_shown_and_no_other_than_there_are() -> None:
    shown = metrics_in(json.dumps(BOARDS))
    known = {family.name for family in (*families.OPERATOR, *families.SCALER, *families.ENDPOINT)}
    assert {family.name for family in families.ENDPOINT} <= shown <= known

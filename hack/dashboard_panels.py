"""How the panels of the dashboards look, in few kinds, so that all pages look alike."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
GREEN, RED, YELLOW, BLUE, GREY = "green", "red", "orange", "blue", "#8e8e8e"
TAG = "llmendpoint"

Panel = stat.Panel | statetimeline.Panel | table.Panel | timeseries.Panel
Words = Mapping[str, tuple[str, str]]
"""Value -> the word and the colour that stand for it."""


@dataclass(frozen=True)
class Query:
    """PromQL, and what its series are called: {{label}} stands for a label's value."""

    expr: str
    legend: str = ""


class Board:
    """One dashboard: rows of panels, placed from left to right."""

    def __init__(self, uid: str, title: str, description: str) -> None:
        self._number = itertools.count(1)
        others = (
            dashboard.DashboardLink("LLMEndpoint")
            .type(models.DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .include_vars(True)
            .keep_time(True)
        )
        self._board = (
            dashboard.Dashboard(title)
            .uid(uid)
            .description(description)
            .tags([TAG])
            .time("now-6h", "now")
            .refresh("30s")
            .timezone("browser")
            .tooltip(models.DashboardCursorSync.CROSSHAIR)
            .link(others)
            .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
        )

    def choose(self, name: str, query: str, *, several: bool = False) -> None:
        """Let the user choose among the values that a query gives."""
        self._board.with_variable(
            dashboard.QueryVariable(name)
            .label(name.capitalize())
            .datasource(SOURCE)
            .query({"query": query, "refId": "values"})
            .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(models.VariableSort.ALPHABETICAL_ASC)
            .multi(several)
            .include_all(several)
        )

    def row(self, title: str, *panels: Panel) -> None:
        """A titled row."""
        self._board.with_row(dashboard.Row(title).id(next(self._number)))
        for panel in panels:
            self._board.with_panel(panel.id(next(self._number)))

    def made(self) -> models.Dashboard:
        """The dashboard as Grafana takes it."""
        return self._board.build()


def number(
    title: str, expr: str, description: str, *, bad_from: float | None = None, decimals: int | None = None
) -> stat.Panel:
    """The value now, with its course behind it; red from a bound on."""
    steps = [models.Threshold(None, GREEN)] + ([models.Threshold(bad_from, RED)] if bad_from is not None else [])
    panel = (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .with_target(_ranged("A", Query(expr, title)))
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .color_mode(options.BigValueColorMode.VALUE)
        .graph_mode(options.BigValueGraphMode.AREA)
        .thresholds(_thresholds(steps))
        .no_value("-")
        .unit("short")
        .height(4)
        .span(4)
    )
    return panel if decimals is None else panel.decimals(decimals)


def lines(
    title: str,
    queries: Sequence[Query],
    description: str = "",
    *,
    unit: str = "short",
    stacked: bool = False,
    steps: bool = False,
    bars: bool = False,
    colors: Mapping[str, str] | None = None,
    dashed: Sequence[str] = (),
    decimals: int | None = None,
    span: int = 12,
) -> timeseries.Panel:
    """Curves over time.

    Args:
        steps: the value holds until the next one.
        colors: by the names of curves.
        dashed: names of curves that are bounds.
    """
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .unit(unit)
        .min(0)
        .line_width(1)
        .fill_opacity(25.0 if stacked or bars else 0.0)
        .show_points(options.VisibilityMode.NEVER)
        .line_interpolation(options.LineInterpolation.STEP_AFTER if steps else options.LineInterpolation.LINEAR)
        .draw_style(options.GraphDrawStyle.BARS if bars else options.GraphDrawStyle.LINE)
        .stacking(
            common.StackingConfig().mode(options.StackingMode.NORMAL if stacked or bars else options.StackingMode.NONE)
        )
        .legend(
            common.VizLegendOptions()
            .display_mode(options.LegendDisplayMode.LIST)
            .placement(options.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(common.VizTooltipOptions().mode(options.TooltipDisplayMode.MULTI).sort(options.SortOrder.DESCENDING))
        .height(8)
        .span(span)
    )
    for letter, query in zip("ABCDEFGH", queries, strict=False):
        panel.with_target(_ranged(letter, query))
    for name, color in (colors or {}).items():
        look = [models.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": color})]
        if name in dashed:
            look.append(models.DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [10, 10]}))
        panel.override_by_name(name, look)
    return panel if decimals is None else panel.decimals(decimals)


def timeline(title: str, query: Query, description: str, words: Words) -> statetimeline.Panel:
    """When each series had which value, in words."""
    return (
        statetimeline.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .with_target(_ranged("A", query))
        .mappings([_mapping(words)])
        .unit("short")
        .show_value(options.VisibilityMode.NEVER)
        .color_scheme(_fixed(GREY))
        .fill_opacity(80)
        .line_width(0)
        .row_height(0.8)
        .height(8)
        .span(12)
    )


def table_of(
    title: str,
    description: str,
    columns: Mapping[str, str],
    *,
    labels: Mapping[str, str],
    link: tuple[str, str],
    words: Mapping[str, Words],
    decimals: Mapping[str, int],
) -> table.Panel:
    """Values now: a row for each set of labels.

    Args:
        columns: title -> query. The first one has all the labels.
        labels: label -> title of its column.
        link: title of a column, and where a click leads.
        words: column -> what stands for its values.
        decimals: column -> digits after the point.
    """
    letters = dict(zip("ABCDEFGHIJKLMN", columns, strict=False))
    titles = {**labels, **{f"Value #{letter}": column for letter, column in letters.items()}}
    panel = (
        table.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .with_transformation(models.DataTransformerConfig("merge", options={}))
        .with_transformation(
            models.DataTransformerConfig(
                "organize",
                options={
                    "excludeByName": {"Time": True},
                    "indexByName": {name: place for place, name in enumerate(titles)},
                    "renameByName": titles,
                },
            )
        )
        .unit("short")
        .no_value("-")
        .height(9)
        .span(24)
    )
    for letter, column in letters.items():
        query = prometheus.Dataquery().expr(columns[column]).instant().format(PromQueryFormat.TABLE)
        panel.with_target(query.ref_id(letter).datasource(SOURCE))
    linked, url = link
    panel.override_by_name(linked, [models.DynamicConfigValue("links", [{"title": "Open its page", "url": url}])])
    for column, known in words.items():
        panel.override_by_name(
            column,
            [
                models.DynamicConfigValue("mappings", [_mapping(known)]),
                models.DynamicConfigValue("custom.cellOptions", {"type": "color-text"}),
            ],
        )
    for column, digits in decimals.items():
        panel.override_by_name(column, [models.DynamicConfigValue("decimals", digits)])
    return panel


def _ranged(letter: str, query: Query) -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(query.expr).legend_format(query.legend).range().ref_id(letter).datasource(SOURCE)


def _mapping(words: Words) -> models.ValueMap:
    return models.ValueMap(
        {
            value: models.ValueMappingResult(text=word, color=color, index=index)
            for index, (value, (word, color)) in enumerate(words.items())
        }
    )


def _thresholds(steps: list[models.Threshold]) -> dashboard.ThresholdsConfig:
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps)


def _fixed(color: str) -> dashboard.FieldColor:
    return dashboard.FieldColor().mode(models.FieldColorModeId.FIXED).fixed_color(color)

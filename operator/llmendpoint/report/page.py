"""The page around a report: template, style, script and plotly.js in one file."""

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from llmendpoint.report.units import clock, count, duration, seconds, share

_templates = Environment(
    loader=PackageLoader("llmendpoint.report"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters |= {"clock": clock, "count": count, "duration": duration, "seconds": seconds, "share": share}


def page(template: str, charts: Mapping[str, go.Figure], **values: Any) -> str:
    """The HTML text of a report.

    Args:
        charts: by the id of the element that they are drawn in.
        values: what else the template shows.
    """
    # Within to_json() no "<" is left as it is: nothing in it ends the script element that it is put in.
    drawn = {name: chart.to_json() for name, chart in charts.items()}
    return _templates.get_template(template).render(charts=drawn, plotly=get_plotlyjs(), **values)

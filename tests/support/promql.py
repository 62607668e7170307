"""Which of our metrics a text asks for."""

import re

_METRIC = re.compile(r"llmendpoint_[a-z_]+")


def metrics_in(text: str) -> set[str]:
    """Names of metrics; a histogram's series count as the histogram."""
    return {re.sub(r"_(bucket|count|sum)$", "", name) for name in _METRIC.findall(text)}

"""Numbers in and out: engine metrics read from pods or Prometheus, and the operator's own metrics."""

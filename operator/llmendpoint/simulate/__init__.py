"""The simulator: a trace of requests replayed on a model of the engines, driven by the operator's own decide()."""

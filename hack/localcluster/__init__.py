"""A Kubernetes cluster on this machine, made for tests and for the demo."""

# Every target installs what it needs into .venv; `make test` is what CI runs.
.DEFAULT_GOAL := help
UV := uv run --frozen
NAME ?= llmendpoint

.PHONY: help demo demo-down sync check generate test unit test-apiserver cluster-up cluster-down

help: ## Show the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-16s %s\n", $$1, $$2}'

sync:
	@uv sync --frozen --quiet

demo: sync ## See one endpoint scale out and in under load, in about five minutes
	@cd hack && $(UV) python demo.py

demo-down: sync ## Remove the demo's cluster
	@cd hack && $(UV) python demo.py down

check: sync ## Lint, types, layers, and drift of what is generated
	$(UV) ruff format --check --quiet
	$(UV) ruff check --quiet
	$(UV) mypy
	$(UV) lint-imports --no-logo
	$(UV) python hack/generate.py --check

generate: sync ## Write the CRD and its copy in the chart
	$(UV) python hack/generate.py

unit: sync ## Unit tests and the laws of the scaler
	$(UV) pytest tests/unit tests/laws

test-apiserver: sync ## Tests against a real API server
	$(UV) pytest tests/apiserver

test: check ## Everything: check, unit tests, laws, tests on a real API server and on a real node
	$(UV) pytest tests

cluster-up: sync ## A cluster on this machine (NAME=llmendpoint)
	@cd hack && $(UV) python -m localcluster up --name $(NAME)

cluster-down: sync ## Remove it
	@cd hack && $(UV) python -m localcluster down --name $(NAME)

# Every target installs what it needs into .venv; `make test` is what CI runs.
.DEFAULT_GOAL := help
# uv from PATH, else one of our own from PyPI.
uv := $(or $(shell command -v uv),$(CURDIR)/.uv/bin/uv)
RUN := $(uv) run --frozen
NAME ?= llmendpoint
FUZZ_OBJECTS ?= 10000
FUZZ_SEED ?= 1
CHAOS_KILLS ?= 100
CHAOS_AWAY ?= 120
CHAOS_SEED ?= 1

.PHONY: help demo demo-down sync check audit generate docs install-yaml test unit test-browser test-apiserver test-e2e e2e-vllm \
	fuzz chaos bench images cluster-up cluster-down

help: ## Show the targets
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-16s %s\n", $$1, $$2}'

$(CURDIR)/.uv/bin/uv:
	@python3 -m venv .uv && .uv/bin/pip install --quiet --disable-pip-version-check uv

sync: $(uv)
	@$(uv) sync --frozen --quiet

demo: sync ## See one endpoint scale out and in under load, in about five minutes
	@cd hack && $(RUN) python demo.py

demo-down: sync ## Remove the demo's cluster
	@cd hack && $(RUN) python demo.py down

check: sync ## Lint, types, layers, and drift of what is generated
	$(RUN) ruff format --check --quiet
	$(RUN) ruff check --quiet
	$(RUN) mypy
	$(RUN) lint-imports --no-logo
	$(RUN) python hack/generate.py --check

audit: sync ## Known vulnerabilities of the packages in the images, as PyPI knows them
	@cd hack && $(RUN) python -c "from localcluster import runtime; runtime.export_requirements()"
	@$(uv) tool run --quiet pip-audit@2.10.1 --strict --disable-pip --require-hashes -r .build/requirements.txt -r .build/requirements-rag.txt || \
		{ echo "audit: a package has a known vulnerability, or PyPI's advisories can not be read from here" >&2; exit 1; }

generate: sync ## Write what is derived from the code: CRD, chart values, dashboards, pages
	$(RUN) python hack/generate.py

docs: $(uv) ## The documentation site: site/index.html. A link that leads nowhere fails
	$(uv) run --frozen --group docs zensical build --clean --strict

install-yaml: sync ## The chart as one file for kubectl: dist/install.yaml
	@$(RUN) python hack/install_yaml.py

unit: sync ## Unit tests and the laws of the scaler; the pure rooms are covered to 95 %
	$(RUN) pytest tests/unit tests/laws tests/rag/test_texts.py --cov --cov-report=term:skip-covered

# By itself: Playwright keeps an event loop running, in which nobody else can start one.
test-browser: sync ## Tests of the HTML report in headless Chromium
	$(RUN) pytest tests/browser

test-apiserver: sync ## Tests against a real API server, a real Prometheus, a real Redis, a real S3 server and the engine simulator; the RAG service
	$(RUN) pytest tests/prometheus tests/jobqueue tests/batch tests/modelfetch tests/rag tests/realtime tests/apiserver tests/fuzz tests/chaos

test-e2e: sync ## Tests on a real node with real containers
	$(RUN) pytest tests/e2e

e2e-vllm: sync ## A real vLLM on this machine's processors, not part of test: 6.5 GB of packages, about ten minutes
	$(RUN) pytest tests/vllm -m vllm -s

# A test that hangs fails, instead of holding up all that come after it.
test: export PYTEST_TIMEOUT = 1200
test: check unit test-browser ## Everything: check, unit tests, laws, tests in a browser, on a real API server and a real node
	$(RUN) pytest tests/prometheus tests/jobqueue tests/batch tests/modelfetch tests/rag tests/realtime tests/apiserver tests/fuzz tests/chaos tests/e2e

fuzz: sync ## Generated objects through a real API server (FUZZ_OBJECTS=10000 FUZZ_SEED=1); make test sends 300
	$(RUN) pytest tests/fuzz -s --fuzz-objects $(FUZZ_OBJECTS) --fuzz-seed $(FUZZ_SEED)

chaos: sync ## Operators killed, a control plane that goes, metrics lost (CHAOS_KILLS=100 CHAOS_AWAY=120 CHAOS_SEED=1)
	$(RUN) pytest tests/chaos -s --chaos-kills $(CHAOS_KILLS) --chaos-away $(CHAOS_AWAY) --chaos-seed $(CHAOS_SEED)

bench: sync ## Measure the product against its bars (BENCH_ARGS=--help)
	@cd hack && $(RUN) python -m bench $(BENCH_ARGS)

images: sync ## Build the container images as OCI archives
	@cd hack && $(RUN) python -m localcluster images

cluster-up: sync ## A cluster on this machine (NAME=llmendpoint)
	@cd hack && $(RUN) python -m localcluster up --name $(NAME)

cluster-down: sync ## Remove it
	@cd hack && $(RUN) python -m localcluster down --name $(NAME)

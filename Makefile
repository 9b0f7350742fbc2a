# What a contributor runs; `make` alone lists it. Only Python 3.11 or newer is needed.

.DEFAULT_GOAL := help
.PHONY: help run test lint types audit bench openapi format clean

BIN := .venv/bin

# A run needs the demo model's packages only where no other provider is named.
RUN_WITH := $(if $(filter-out local,$(LLM_PROVIDER)),service,local)

# What a setting alone can ask for; docs/development.md tells how to add the rest.
EXTRAS := --extra jwt --extra postgres --extra redis

SYNC_service := --no-default-groups $(EXTRAS)
SYNC_local := --no-default-groups $(EXTRAS) --extra local
SYNC_dev := --group dev

# The stamps say which packages of the lock file .venv holds already.
.venv/.synced-%: pyproject.toml uv.lock .ci/sync Makefile
	@.ci/sync $(SYNC_$*)
	@touch $@

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' Makefile

run: .venv/.synced-$(RUN_WITH) ## Start the service on http://127.0.0.1:8000
	@exec $(BIN)/llm-proxy dev

test: ARGS ?= -n auto --dist worksteal --cov
test: .venv/.synced-dev ## Run all tests with coverage; ARGS="tests/api -x" runs others
	$(BIN)/pytest $(ARGS)

lint: .venv/.synced-dev ## Check style, dead code, layers, secrets and the Dockerfile
	$(BIN)/ruff check .
	$(BIN)/ruff check --quiet --preview --select PLR1702 .
	$(BIN)/ruff format --check .
	$(BIN)/vulture
	$(BIN)/lint-imports
	git ls-files -z | xargs -0 $(BIN)/detect-secrets-hook --baseline .secrets.baseline
	$(BIN)/hadolint Dockerfile

types: .venv/.synced-dev ## Check types with mypy and ty
	$(BIN)/mypy
	$(BIN)/ty check

audit: .venv/.synced-dev ## Look up known vulnerabilities of the locked packages
	.ci/audit

bench: .venv/.synced-dev ## Measure what a request costs; ARGS go to the benchmark
	$(BIN)/python -m bench $(ARGS)

openapi: .venv/.synced-dev ## Write docs/openapi.json from the routes
	$(BIN)/python -m llm_proxy.api.openapi --write

format: .venv/.synced-dev ## Format the code and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## Remove everything that is made, the environment included
	rm -rf .venv .uv .coverage* htmlcov dist build .hypothesis .*_cache
	find src tests bench -name __pycache__ -prune -exec rm -rf {} +

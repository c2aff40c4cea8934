# Every target sets itself up: a fresh machine needs Python 3.11 or newer, git and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SOURCES := backend tests alembic docs benchmarks deploy
export PYTHONPATH := backend
# Every process would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo serve sandbox test live check bench bench-ledger fix lock clean
.DEFAULT_GOAL := help

help: ## Show what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 22

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	@echo "Setting up $(VENV), once: a minute or two ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(READY) ## A lesson made from a source text, and the ledger of it (SOURCE=path, LIVE=1)
	@$(BIN)/python -m demo $(if $(SOURCE),--source "$(SOURCE)") $(if $(filter-out 0 no false,$(LIVE)),--live)

serve: $(READY) ## The backend on PORT (8000), with /docs and /llm-usage; the sandbox answers while no key is set
	@$(BIN)/python -m serve --port $(or $(PORT),8000)

sandbox: $(READY) ## The sandbox alone on PORT (8081)
	@$(BIN)/python -m sandbox --port $(or $(PORT),8081)

test: $(READY) ## The whole suite, on SQLite and PostgreSQL
	@$(BIN)/python -m pytest -q -n 2

live: $(READY) ## One small call of each kind on the real API, with OPENAI_API_KEY: a few cents
	@$(BIN)/python -m pytest -q -m live

check: $(READY) ## What CI runs: lint, format, types, walls, documents, tests with coverage
	@$(BIN)/ruff check --output-format concise $(SOURCES)
	@$(BIN)/ruff format --check --quiet $(SOURCES)
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports
	@$(MAKE) --no-print-directory docs
	@$(MAKE) --no-print-directory test-with-coverage

.PHONY: test-with-coverage
test-with-coverage: $(READY)
	@$(BIN)/python -m pytest -q -n 2 --cov --cov-report=term-missing --cov-fail-under=99.9

bench-ledger: $(READY) ## How fast the ledger answers with ROWS (1,000,000) rows, on both databases
	@PYTHONPATH=backend:. $(BIN)/python benchmarks/ledger_reads.py --rows $(or $(ROWS),1000000)

bench: $(READY) ## Processor time of a call beside the bare SDK and other libraries (QUICK=1, CLIENTS=sdk,module)
	@PYTHONPATH=backend:. $(BIN)/python -m benchmarks.calls.run $(if $(QUICK),--quick) $(if $(CLIENTS),--clients $(CLIENTS))

.PHONY: docs dist dist-check sbom
docs: $(READY) ## The documentation as a site in site/, every link checked (SERVE=1: on port 8001, to read it)
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs $(if $(SERVE),serve --dev-addr 127.0.0.1:8001,build --strict)

dist: $(READY) ## Wheel and sdist, in dist/
	@$(BIN)/python -m build --no-isolation --outdir dist . >/dev/null && ls dist

dist-check: dist ## Install the wheel in empty environments, with each extra, and use it (PYTHONS="3.12 3.13")
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python deploy/check_distribution.py $(addprefix --python ,$(PYTHONS))

sbom: $(READY) ## What the backend is made of, as CycloneDX JSON in dist/
	@$(BIN)/python deploy/sbom.py

fix: $(READY) ## Format, and mend what the linter can
	@$(BIN)/ruff check --quiet --fix $(SOURCES); $(BIN)/ruff format --quiet $(SOURCES)

lock: $(READY) ## Lock the newest allowed versions, with hashes
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra dev pyproject.toml \
		--generate-hashes --no-emit-index-url --no-header --no-annotate -o requirements.lock $(UPGRADE)

clean: ## Remove what the targets made
	@rm -rf $(VENV) dist site .bench .demo .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .coverage backend.db*

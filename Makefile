# Two commands for a newcomer: `make run`, `make test`. Everything sets itself up in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore

.PHONY: help run test lint check fault fuzz bench lock clean
.DEFAULT_GOAL := help

help: ## what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

# A virtual environment is made anew when its lock file changes; a half-made one is not taken.
$(VENV)/.runtime: deploy/locks/runtime.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Aftercall needs Python 3.11 or newer: make run PYTHON=python3.11"; exit 1; }
	@echo "Installing locked dependencies ..."
	@$(BIN)/pip install -q --require-hashes -r deploy/locks/runtime.txt
	@$(BIN)/pip install -q --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: deploy/locks/dev.txt pyproject.toml $(VENV)/.runtime
	@echo "Installing locked test tools ..."
	@$(BIN)/pip install -q --require-hashes -r deploy/locks/dev.txt
	@touch $@

run: $(VENV)/.runtime ## start everything, with the demo tenant and a simulated call floor
	@exec $(BIN)/aftercall dev

# The quick ones first, on every core; then those that start real parts, two files at a time.
QUICK := not e2e and not crash and not sip and not cluster and not fault
test: $(VENV)/.dev ## every test, against real parts; installs what it needs
	@bash tests/support/parts.sh
	@$(BIN)/python -m compileall -q services shared # once, and not at each of hundreds of starts
ifeq ($(ARGS),)
	@$(BIN)/pytest -q -ra -n auto -m "$(QUICK)" --cov --cov-branch
	@$(BIN)/pytest -q -ra -n 2 --dist loadfile -m "not ($(QUICK))"
else
	@$(BIN)/pytest -q -ra $(ARGS)
endif

# Minutes of generated cases, and of the same cases on every adapter: `make test` runs them.
LEFT_TO_TEST := $(addprefix --ignore=tests/,simulation golden walks deploy scenarios conformance)
lint: $(VENV)/.dev ## format, lint, types, layers
	@$(BIN)/ruff format --check -q .
	@$(BIN)/ruff check -q .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

check: lint ## the same and the quick tests: before each commit
	@$(BIN)/pytest -q -n auto -m "$(QUICK) and not slow" $(LEFT_TO_TEST) tests

ROUNDS ?= 50
fault: $(VENV)/.dev ## kill, freeze and cut off parts of the cluster profile: ROUNDS=200
	@bash tests/support/parts.sh
	@AFTERCALL_TEST_ROUNDS=$(ROUNDS) AFTERCALL_TEST_DEADLINES=20000 $(BIN)/pytest -q -s -ra tests/fault $(ARGS)

EXAMPLES ?= 200
fuzz: $(VENV)/.dev ## requests made of /openapi.json, of every dialect, all checks: EXAMPLES=1000
	@AFTERCALL_TEST_EXAMPLES=$(EXAMPLES) $(BIN)/pytest -q -ra --timeout 7200 tests/e2e/test_documents_hold.py $(ARGS)

bench: $(VENV)/.dev ## ratios, measured side by side in one run
	@$(BIN)/python -m tests.bench

lock: ## write the locked dependencies anew (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-annotate -q pyproject.toml --group build -o deploy/locks/runtime.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-annotate -q pyproject.toml --group dev -o deploy/locks/dev.txt

clean: ## forget the environment and the caches, never the data
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# `make demo` and `make test` are all that a new machine needs: Python 3.11 or newer, make and git.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo run test lint types bench soak docs lock .venv clean

demo: .venv/.run  ## the daemon on generated traffic, with an inbox to look at; until Ctrl-C
	@$(BIN)/alertd demo

run: .venv/.run  ## the daemon with rules/starter and your settings (environment or .env)
	@ALERTD_RULES="$${ALERTD_RULES:-rules/starter}" $(BIN)/alertd run

test: lint types  ## everything CI checks
	@$(BIN)/pytest -n auto -q

lint: .venv/.dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: .venv/.dev
	@$(BIN)/mypy

bench: .venv/.dev  ## prints figures, asserts nothing
	@$(BIN)/pytest -q -s --no-header tests/benchmarks

soak: .venv/.dev  ## the long trials (docs/reliability.md), and a table of what they have shown; TRIALS="kills clock" for some
	@$(BIN)/python -m tests.soak $(TRIALS)

docs: .venv/.run  ## the tables of docs/ from the models that they are about
	@$(BIN)/python -m alertd.rulebook.pages docs/rules.md
	@$(BIN)/python -m alertd.ruletests.pages docs/rule-tests.md
	@$(BIN)/python -m alertd.notices.pages docs/templates.md
	@$(BIN)/python -m alertd.web.pages docs/operating.md

lock: .venv/.dev  ## newest versions that pyproject.toml allows, hash-pinned, for all Pythons and systems
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --upgrade --generate-hashes --no-header --no-annotate \
	  --extra build pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --extra build --extra dev pyproject.toml -c requirements.lock -o requirements-dev.lock

.venv: .venv/.run

.venv/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "alertd needs Python 3.11 or newer; say which with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "Setting up .venv (once)"
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/.run: requirements.lock pyproject.toml | .venv/.python
	@$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv/.dev: requirements-dev.lock .venv/.run
	@$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

clean:
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis dist

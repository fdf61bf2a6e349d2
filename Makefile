# make run | test | chaos | lint | bench | clean. Needs git, make, a Python 3.11 or 3.12, and uv or pip; everything else is
# installed into .venv.
PYTHON ?= python3
PARTS ?=
UV_VERSION := 0.13.9
UV_OLDEST := 0.8.0
UV := .tools/bin/uv
BIN := .venv/bin
READY := .venv/.ready
TARGET ?=
ROUNDS ?= 30
SEED ?=
RESULTS ?=

GET_UV := sh infra/get-uv.sh $(UV_VERSION) $(UV_OLDEST) '$(PYTHON)'

export UV_PYTHON_DOWNLOADS := never
export PATH := $(CURDIR)/$(BIN):$(PATH)
export DO_NOT_TRACK := 1
export DVC_NO_ANALYTICS := 1

.PHONY: run setup test test-all chaos lint format bench clean lock

run: setup  ## set up what is missing, then run every stage that is out of date
	@croft run

setup: $(READY)

$(READY): requirements.lock pyproject.toml pipeline/cli/start.py
	@case "$$PWD" in *:*) echo "error: $$PWD: no command is found in a folder with ':' in its path; rename it" >&2; exit 1; esac
	@$(GET_UV)
	@test -x $(BIN)/python || $(UV) venv --quiet --python '>=3.11,<3.13' .venv
	$(UV) pip sync --compile-bytecode --python $(BIN)/python --require-hashes requirements.lock
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

test: setup  ## every fast test; the slow ones are in test-all
	pytest -n 2 --dist loadgroup $(TARGET)

test-all: setup
	pytest -n 2 --dist loadgroup -m 'not chaos' $(TARGET)

chaos: setup  ## random kills, each followed by what a person would do next; ROUNDS=30, SEED= to repeat, RESULTS=FILE
	CHAOS_ROUNDS='$(ROUNDS)' CHAOS_SEED='$(SEED)' CHAOS_RESULTS='$(RESULTS)' pytest -m chaos tests/chaos

lint: setup
	ruff format --check .
	ruff check .
	mypy
	lint-imports

format: setup
	ruff format .
	ruff check --fix .

bench: setup  ## measure what caching, batching and the closed-form penalty save, the metrics, and serving; results in benchmarks/results
	python -m benchmarks $(PARTS)

lock:  ## resolve requirements.lock anew from pyproject.toml
	@$(GET_UV)
	$(UV) pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes --no-annotate \
	  --no-header --quiet --upgrade --output-file requirements.lock

clean:  ## remove the environment and the stages' outputs; the tracking database (.croft) and DVC's cache stay
	rm -rf .venv .tools artifacts data/builtin/digits
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

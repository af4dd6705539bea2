.PHONY: help setup test lint clean
PYTHON ?= python3
BIN := .venv/bin
export DGM_DATA ?= $(wildcard ../shared/data)

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' Makefile | sed 's/:.*##/\t/' | expand -t 18

setup: .venv/.installed  ## make .venv with the pinned packages

.venv/.installed: setup.cfg constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q -c constraints.txt -e '.[test]'
	@touch $@

lint: setup  ## style
	$(BIN)/ruff check dgm-cli tests

test: lint  ## style and all tests
	$(BIN)/pytest

clean:  ## remove the environment and caches
	rm -rf .venv build .pytest_cache

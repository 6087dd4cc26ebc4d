# make demo | make test: everything on a fresh machine with Python 3.11+, make and a C compiler.
PYTHON ?= python3
BIN := .venv/bin
RUN ?= runs/demo

.PHONY: install demo test test-all lint clean

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: install
	$(BIN)/python ray_jobs/digits.py --out $(RUN)

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright

test: lint
	$(BIN)/pytest -n 2 --dist loadfile -m 'not slow'

test-all: lint
	$(BIN)/pytest

clean:
	rm -rf .venv runs .pytest_cache .ruff_cache

# make demo | make test: everything on a fresh machine with Python 3.11+, make and a C compiler.
PYTHON ?= python3
BIN := .venv/bin
RUN ?= runs/demo

.PHONY: install demo test test-all chaos lint clean

NUMERICAL = -n 2 --dist loadfile -m 'not slow and not ray' $(addprefix tests/, \
  influence classify transform estimate training augment)

# Modules that one process has compiled serve all others.
unexport PYTHONDONTWRITEBYTECODE

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt \
	  --config-settings editable_mode=compat -e '.[dev]'
	@touch $@

demo: install
	$(BIN)/python ray_jobs/digits.py --out $(RUN)

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright

test: lint
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -m 'not slow'

# CPUs round differently: the numerical claims must hold on each kind.
test-all: lint
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -m 'not cluster and not chaos'
	$(BIN)/pytest -n 2 --dist loadfile -m cluster
	ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 $(BIN)/pytest $(NUMERICAL)
	ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 $(BIN)/pytest $(NUMERICAL)

# Whatever can die is killed at random moments; the tally is the last line.
chaos: install
	$(BIN)/pytest -m chaos -s > chaos.log 2>&1; status=$$?; \
	  tail -n 3 chaos.log; grep -o 'CHAOS .*' chaos.log; exit $$status

clean:
	rm -rf .venv runs .pytest_cache .ruff_cache

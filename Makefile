# make run    from a bare machine to the finished study;  make test   the same, and all tests
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DONE := $(VENV)/.installed
LOCK := requirements.lock

.DEFAULT_GOAL := help
.PHONY: help install run test lab lint check notebooks wheelhouse offline lock clean

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

install: $(DONE)  ## make .venv and install the locked versions

$(DONE): $(LOCK) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("causalkit needs Python 3.11 or newer, this is " + sys.version.split()[0] + ": make run PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the locked versions into $(VENV) (two to five minutes, once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_FLAGS) -r $(LOCK)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_FLAGS) --no-deps --no-build-isolation -e .
	@touch $@

run: $(DONE)  ## run the study, on synthetic and on real data: a table, the times, an HTML report
	@$(BIN)/causalkit study

test: $(DONE)  ## run all tests
	@$(BIN)/python -m pytest -n 2

lab: $(DONE)  ## open the notebooks in JupyterLab
	@$(BIN)/jupyter lab notebooks

lint: $(DONE)  ## style and types
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

notebooks: $(DONE)  ## write notebooks/*.ipynb anew from notebooks/src/*.py
	@$(BIN)/python notebooks/pair.py

wheelhouse: $(DONE)  ## collect every package in wheelhouse/, to carry to machines without a network
	@$(BIN)/python -m pip wheel --quiet --disable-pip-version-check -r $(LOCK) -w wheelhouse
	@echo "$$(ls wheelhouse | wc -l) packages in wheelhouse/, $$(du -sh wheelhouse | cut -f1): copy this folder with the wheelhouse in it, then run: make offline"

offline:  ## install from wheelhouse/ alone
	@test -d wheelhouse || { echo "no wheelhouse/ here: run 'make wheelhouse' where there is a network, and copy it"; exit 1; }
	@$(MAKE) --no-print-directory install PIP_FLAGS="--no-index --find-links wheelhouse"
	@echo "installed without a network: make run"

clean:  ## remove what was installed and run
	rm -rf $(VENV) wheelhouse runs build *.egg-info

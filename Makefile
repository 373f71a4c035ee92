# What this book can do, one command each. A bare `make` lists them.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

define STYLE
echo "Checking style and types"; $(BIN)/ruff check && $(BIN)/ruff format --check && $(BIN)/mypy
endef
# Two workers on two cores: a thread each, or they would wait for one another.
PYTEST := OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

help:
	@echo "Usage: make COMMAND"
	@sed -nE 's/^([a-z-]+):.*## (.*)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

serve: $(READY)  ## Read the book in the browser while you write it: changes show by themselves; Ctrl-C stops.
	@# `make serve PORT=8001` takes another port.
	@exec $(BIN)/python tools/serve.py $(PORT:%=--port %)

book: $(READY)  ## Build the book into _build/html; notebooks run again only where something changed.
	@echo "Building the book (a first build runs every notebook: a minute or two)"
	@$(BIN)/python tools/build.py
	@echo "The book is in _build/html/index.html"

lab: $(READY)  ## Open the notebooks in JupyterLab, to change and run them.
	@echo "Starting JupyterLab on book/"
	@exec $(BIN)/jupyter-lab book

notebooks: $(READY)  ## Run the notebooks that changed, and store all text outputs in normal form.
	@echo "Running the notebooks of book/ that changed"
	@$(BIN)/python -m tools.notebooks --execute

check: $(READY)  ## Style, types, and the tests of what changed since the last commit: half a minute.
	@$(STYLE)
	@tests=$$($(BIN)/python -m tools.changed) && if [ -n "$$tests" ]; then $(PYTEST) -m "not long" $$tests; else echo "No test concerns what has changed"; fi

test: $(READY)  ## Everything that must pass: style, types, the package, the notebooks, the book and its pages.
	@command -v chromium chromium-browser google-chrome >/dev/null || { echo "make test drives the browser Chromium, which is missing. Install it: sudo apt-get install chromium"; exit 1; }
	@$(STYLE)
	@echo "Testing the package, the notebooks, the built book and its explorers"
	@$(PYTEST) -m "not long" tests book

test-all: test  ## That, and what takes long: every notebook run anew with one and two threads of BLAS.
	@$(PYTEST) -m long tests

pins: $(READY)  ## Pin the packages of requirements.in anew, in requirements.txt.
	@echo "Pinning requirements.in"
	@$(BIN)/uv pip compile requirements.in --universal --python-version 3.11 --fork-strategy fewest --upgrade \
		--no-annotate --custom-compile-command "make pins" --output-file requirements.txt --quiet

clean:  ## Remove everything that was built (.venv stays).
	@echo "Removing _build and the caches"
	@rm -rf _build .hypothesis .mypy_cache .pytest_cache .ruff_cache

$(READY): requirements.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is missing. Install Python 3.11 or newer: sudo apt-get install python3 python3-venv"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$$($(PYTHON) --version) is too old: Python 3.11 or newer is needed. Name another one so: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) cannot make virtual environments. Install what it needs: sudo apt-get install python3-venv"; exit 1; }
	@echo "Installing requirements.txt into .venv (once; a few minutes)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@# What pip says is of interest only if it fails.
	@{ $(PIP) --requirement requirements.txt && $(PIP) --no-deps --no-build-isolation --editable .; } >.venv/pip.log 2>&1 \
		|| { cat .venv/pip.log >&2; exit 1; }
	@touch $@

.PHONY: help serve book lab notebooks check test test-all pins clean

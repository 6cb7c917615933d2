# Every target makes the virtual environment and installs what it needs by itself.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNS := $(VENV)/.runs
STAMP := $(VENV)/.installed
AXE := build/axe/node_modules/axe-core/axe.min.js
SHARED := $(abspath ../shared/data)

ifeq ($(origin ROADANOMALY_DATA),undefined)
ifneq ($(wildcard $(SHARED)/camvid),)
TEST_DATA := ROADANOMALY_DATA=$(SHARED)
endif
endif

# two processes; `make test PROCESSES=0` for one, where a debugger is wanted; they keep compiled files
# even where the environment says otherwise: all tests would be compiled again at every start
PROCESSES ?= 2
PYTEST := $(TEST_DATA) PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(PROCESSES) --dist worksteal --durations 20

.PHONY: demo test test-fast lint docs axe clean

demo: $(RUNS)
	$(BIN)/roadanomaly demo

test: lint docs axe
	$(PYTEST) --doctest-modules roadanomaly tests

test-fast: $(STAMP)
	$(PYTEST) -m "not slow"

# what the pages' tests ask whether everybody can use a page; without npm they skip and say so
axe: $(AXE)

$(AXE):
	npm install --silent --no-audit --no-fund --prefix build/axe axe-core@4 || true

docs: $(STAMP)
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet docs site
	@echo "the site is in site/index.html"

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# the program alone
$(RUNS): setup.py
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

# and what its tests, checks and site need
$(STAMP): setup.py | $(RUNS)
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	# mmcv brings the OpenCV that needs a display, over the one that does not
	$(BIN)/python -m pip uninstall --quiet --yes opencv-python
	$(BIN)/python -m pip install --quiet --force-reinstall --no-deps opencv-python-headless
	touch $@

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache build site docs/made *.egg-info

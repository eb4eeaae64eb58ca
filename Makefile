# make demo, make test: from a fresh clone, with Python 3.11 or newer, a C++ compiler and make.
# Everything else (cmake and ninja too) comes from the package index into .venv.

SHELL := /bin/bash
.DELETE_ON_ERROR:

CANDIDATES := python3 python3.14 python3.13 python3.12 python3.11
PYTHON ?= $(shell for p in $(CANDIDATES); do \
    $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

VENV := .venv
BIN := $(VENV)/bin
# A stamp a step: made again only when what it depends on is newer.
STAMPS := $(VENV)/stamps
NATIVE := CMakeLists.txt $(wildcard cpp/*)
PACKAGE := pyproject.toml $(NATIVE) $(shell find src -type f ! -name '*.so' ! -path '*/__pycache__/*')
# The build tools of the environment are used as they are: quick, and the build folder is kept.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
LOCAL := --no-build-isolation .
PYTEST := $(BIN)/python -m pytest -m "not slow" -p no:cacheprovider

.PHONY: all demo test calibrate browser interop lint types docs bench wheel sanitize dev clean

all: $(STAMPS)/package

$(STAMPS)/python:
	@test -n "$(PYTHON)" && "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "partialpool needs Python 3.11 or newer; found: $$(python3 --version 2>&1)." \
	         "Name one with: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@echo "Making $(VENV) with $$("$(PYTHON)" --version)"
	@"$(PYTHON)" -m venv $(VENV)
	@mkdir -p $(STAMPS)
	@$(INSTALL) --upgrade "pip>=25.1"
	@touch $@

$(STAMPS)/tools: pyproject.toml | $(STAMPS)/python
	@echo "Installing the build tools"
	@$(INSTALL) --group build
	@touch $@

$(STAMPS)/package: $(PACKAGE) $(STAMPS)/tools
	@echo "Building and installing partialpool"
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(INSTALL) $(LOCAL)
	@touch $@

$(STAMPS)/test: pyproject.toml | $(STAMPS)/python
	@echo "Installing what the tests need"
	@$(INSTALL) --group test
	@touch $@

$(STAMPS)/lint: pyproject.toml | $(STAMPS)/python
	@echo "Installing ruff and mypy"
	@$(INSTALL) --group lint
	@touch $@

# The mpg example: lm, lmer and why they differ, also as a page in demo/.
demo: $(STAMPS)/package
	@$(BIN)/partialpool demo

# Tests, executed docs and the examples of the docstrings, against the installed package.
test: $(STAMPS)/package $(STAMPS)/test
	@$(PYTEST) tests

# Simulations: do tests reject and intervals cover as often as they say?
calibrate: $(STAMPS)/package $(STAMPS)/test
	@$(BIN)/python -m pytest -m slow -p no:cacheprovider tests

# The pages in a real browser; needs a Chromium or Chrome, which the package index does not have.
browser: $(STAMPS)/package $(STAMPS)/test
	@$(INSTALL) --group browser
	@PARTIALPOOL_BROWSER=required $(BIN)/python -m pytest -p no:cacheprovider tests/browser

# The bridges to other packages, in an environment with releases that run together.
interop: $(STAMPS)/tools
	@ls build/wheel/*.whl > /dev/null 2>&1 || $(MAKE) wheel
	@rm -rf build/interop && $(BIN)/python -m venv build/interop
	@build/interop/bin/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	@build/interop/bin/python -m pip install --quiet --disable-pip-version-check build/wheel/*.whl
	@build/interop/bin/python -m pip install --quiet --disable-pip-version-check --group interop
	@build/interop/bin/python -m pytest -p no:cacheprovider -W default tests/unit/test_interop.py \
	  tests/unit/test_bootstrap.py -k "not test_bootstrap or arviz"

lint: $(STAMPS)/lint
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(STAMPS)/lint $(STAMPS)/package
	@$(BIN)/mypy --strict src

# docs/reference from the docstrings, and the pictures.
docs: $(STAMPS)/package $(STAMPS)/test
	@$(BIN)/python docs/build_reference.py
	@$(BIN)/python examples/mpg_picture.py
	@$(BIN)/python examples/comparison_pictures.py

bench: $(STAMPS)/package $(STAMPS)/test
	@$(BIN)/python -m benchmarks

# A wheel whose C++ compiles without a warning, installed and used in an empty environment.
wheel: $(STAMPS)/tools
	@rm -rf build/wheel && mkdir -p build/wheel
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pip wheel --quiet --disable-pip-version-check \
	  --no-deps --wheel-dir build/wheel --config-settings=build-dir=build/werror \
	  --config-settings=cmake.define.PARTIALPOOL_WERROR=ON $(LOCAL)
	@$(BIN)/python -m venv build/wheel/venv
	@build/wheel/venv/bin/python -m pip install --quiet --disable-pip-version-check build/wheel/*.whl
	@cd build/wheel && venv/bin/partialpool fit "Reaction ~ Days + (Days | Subject)" sleepstudy \
	  > sleepstudy.txt
	@ls build/wheel/*.whl

# Native code against its dense twin under the address and undefined-behaviour sanitizers.
sanitize: $(STAMPS)/tools $(STAMPS)/package $(STAMPS)/test
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(INSTALL) --no-deps --upgrade --target build/sanitize/site \
	  --config-settings=build-dir=build/sanitize/cmake \
	  --config-settings=cmake.define.PARTIALPOOL_SANITIZE=ON \
	  --config-settings=cmake.build-type=RelWithDebInfo --config-settings=install.strip=false \
	  $(LOCAL)
	@LD_PRELOAD="$$($${CXX:-c++} -print-file-name=libasan.so) $$($${CXX:-c++} -print-file-name=libstdc++.so)" \
	  ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 PYTHONPATH=build/sanitize/site \
	  $(PYTEST) -q --capture=sys tests/twin

# The native module inside src/, for work with PYTHONPATH=src.
dev: $(STAMPS)/tools
	@PATH="$(CURDIR)/$(BIN):$$PATH" cmake -S . -B build/dev -G Ninja \
	  -DPython_EXECUTABLE="$(CURDIR)/$(BIN)/python" > build/dev.log
	@PATH="$(CURDIR)/$(BIN):$$PATH" cmake --build build/dev

clean:
	rm -rf .venv build dist src/partialpool/_core*.so

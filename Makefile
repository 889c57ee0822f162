# `make serve` and `make test` do all the set-up they need; see `make help`.
#
# What was installed is remembered by stamp files in .venv, so that a second run installs nothing. Every package comes
# pinned and with its hashes from requirements.lock and requirements-test.lock; `make lock` makes those anew.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

# The first Python that Keepwell runs on; Debian 12 has 3.11.
PYTHON ?= $(shell for one in python3.11 python3.12 python3.13 python3; do \
	command -v $$one >/dev/null && $$one -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	&& echo $$one && break; done)
VENV := .venv
PIP := $(VENV)/bin/python -m pip --quiet --disable-pip-version-check --no-input

# For `make serve`.
DATA ?= data
HOST ?= 127.0.0.1
PORT ?= 8080
LOGIN ?= $(shell id -un | tr '[:upper:]' '[:lower:]' | grep -Ex '[a-z0-9][a-z0-9._@+-]{0,63}' | grep -vx root || echo me)
SERVE_OPTIONS ?=
SCHEME = $(if $(findstring --tls-cert,$(SERVE_OPTIONS)),https,http)

# For `make test` and `make bench`.
PYTEST_OPTIONS ?=
# Half of the time tests wait for real servers and disks: twice the cores keep them busy.
TEST_WORKERS ?= $(shell echo $$((2 * $$(nproc))))
BENCH_OPTIONS ?= --write docs/PERFORMANCE.md
PROVE_OPTIONS ?= --write docs/RELIABILITY.md
# For `make coverage`: what must be reached in every branch, and the tests that are responsible for it.
COVERED := src/keepwell/vault/*,src/keepwell/model/*,src/keepwell/storage/sqlite*.py
COVERAGE_TESTS := tests/vault tests/storage tests/model tests/services tests/golden
TEST_PACKAGES := age curl e2fsprogs eatmydata jq litmus mount sqlite3 xfsprogs zstd
UV_VERSION := 0.13.9

.PHONY: help install serve first-account test coverage lint bench prove lock clean

help: ## Say what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

install: $(VENV)/.installed ## Install Keepwell into .venv; the command is .venv/bin/keepwell

serve: first-account ## Serve ./data on 127.0.0.1:8080, with a first account (HOST, PORT, DATA, LOGIN, SERVE_OPTIONS)
	@echo
	@case "$(HOST)" in 127.*|localhost|::1) \
		echo "  How to connect each sort of device:  $(SCHEME)://$(HOST):$(PORT)/"; \
		echo "  The address that programs ask for:   $(SCHEME)://$(HOST):$(PORT)/dav/"; \
		echo "  A phone cannot reach this address. For a phone in your network:  make serve HOST=0.0.0.0";; \
	*) \
		name=$$(case "$(HOST)" in 0.0.0.0|::) hostname -I | cut -d' ' -f1;; *) echo "$(HOST)";; esac); \
		echo "  Point a phone's browser at this page, which says how to connect:  $(SCHEME)://$$name:$(PORT)/"; \
		echo "  The address that programs ask for:  $(SCHEME)://$$name:$(PORT)/dav/";; \
	esac
	@echo "  To stop: Ctrl-C"
	@echo
	@exec $(VENV)/bin/keepwell serve --data "$(DATA)" --host "$(HOST)" --port "$(PORT)" $(SERVE_OPTIONS)

first-account: install
	@if $(VENV)/bin/keepwell account list --data "$(DATA)" --json | grep -q '"login"'; then \
		echo "The accounts in $(DATA) are there already. Another app password: $(VENV)/bin/keepwell app-password add LOGIN --label PHONE --data $(DATA)"; \
	else \
		$(VENV)/bin/keepwell account add "$(LOGIN)" --data "$(DATA)" >/dev/null; \
		password=$$($(VENV)/bin/keepwell app-password add "$(LOGIN)" --label "first device" --data "$(DATA)" --json \
			| $(VENV)/bin/python -c 'import json, sys; print(json.load(sys.stdin)["password"])'); \
		printf '\n  The first account was made in %s. The app password is shown this once.\n\n' "$(DATA)"; \
		printf '    user name     %s\n    app password  %s\n' "$(LOGIN)" "$$password"; \
	fi

test: $(VENV)/.tested ## Install what tests need and run everything
	@.ci/packages $(TEST_PACKAGES)
	@PYTHON="$$(command -v $(PYTHON))" sh compat/install.sh
	@$(MAKE) lint
	@echo "== tests"
	@$(VENV)/bin/python -m pytest -n $(TEST_WORKERS) --durations=15 --ignore=tests/prove $(PYTEST_OPTIONS)
	@echo "== the proving ground, in short form: not beside other tests, whose servers it might take down"
	@$(VENV)/bin/python -m pytest -n $(TEST_WORKERS) --durations=15 tests/prove $(PYTEST_OPTIONS)

coverage: $(VENV)/.tested ## Measure which branches of the vault, the journal and the SQLite store tests reach; fail under 100 %
	@.ci/packages $(TEST_PACKAGES)
	@mkdir -p .cache/coverage
	@$(VENV)/bin/coverage erase
	@$(VENV)/bin/coverage run -m pytest -q $(COVERAGE_TESTS)
	@$(VENV)/bin/coverage combine --quiet
	@$(VENV)/bin/coverage report --include='$(COVERED)'

lint: $(VENV)/.tested ## Check style, types and layers
	@echo "== ruff"
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check --quiet .
	@echo "== mypy"
	@$(VENV)/bin/mypy -p keepwell -p compat -p bench -p prove -p tests.support
	@echo "== layers"
	@$(VENV)/bin/lint-imports

bench: $(VENV)/.installed ## Measure beside Radicale and Xandikos and write docs/PERFORMANCE.md (BENCH_OPTIONS)
	@PYTHON="$$(command -v $(PYTHON))" sh bench/install.sh
	@.venv-bench/bin/python -m bench $(BENCH_OPTIONS)

prove: $(VENV)/.tested ## Break Keepwell on purpose for hours and write docs/RELIABILITY.md (PROVE_OPTIONS)
	@.ci/packages $(TEST_PACKAGES)
	@$(VENV)/bin/python -m prove $(PROVE_OPTIONS)
	@$(VENV)/bin/python -m prove.gate

lock: ## Make requirements.lock and requirements-test.lock anew, with the newest versions
	@test -x .venv-lock/bin/uv || { $(PYTHON) -m venv .venv-lock && .venv-lock/bin/python -m pip install -q "uv==$(UV_VERSION)"; }
	@$(call compile,--extra test -o requirements-test.lock)
	@$(call compile,-c requirements-test.lock -o requirements.lock)

clean: ## Remove what was installed and cached; people's data stays
	rm -rf .venv .venv-programs .venv-bench .venv-lock .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# The builder is locked too, so that installing Keepwell itself fetches nothing that is not pinned.
compile = printf 'hatchling\neditables\n' | .venv-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --system-certs --upgrade $(1) pyproject.toml -

$(VENV)/.made:
	@if [ -z "$(PYTHON)" ]; then echo "Keepwell needs Python 3.11, 3.12 or 3.13. On Debian 12: apt-get install python3 python3-venv" >&2; exit 1; fi
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || .ci/packages python3-venv
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: requirements.lock pyproject.toml $(VENV)/.made
	@echo "== installing Keepwell into $(VENV)"
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.tested: requirements-test.lock $(VENV)/.installed
	@echo "== installing what tests need into $(VENV)"
	@$(PIP) install --require-hashes -r requirements-test.lock
	@touch $@

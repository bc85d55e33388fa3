# Every command of the project. They set up what they need: Python 3.11 or newer and make are enough.
# Docker, or Java 17 and Maven, only where a command's name says so.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup run test lint audit topics up kafka bench faults lock

VENV := .venv
PY := $(VENV)/bin/python

# Commands that have nothing to run in this tree.
ABSENT := $(if $(wildcard bench/__main__.py),,bench) $(if $(wildcard tests/faults/test_*.py),,faults)

# The first interpreter that is new enough and can make environments.
define find_python
for name in python3.11 python3.12 python3.13 python3.14 python3 python; do \
  if $$name -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
    found=$$name; break; \
  fi; \
done; \
test -n "$$found" || { echo "Leadline needs Python 3.11 or newer with its venv module (Debian: python3-venv)." >&2; exit 1; }
endef

# uv is quicker where it is installed; pip does the same. Both take only files with the hashes in the lock.
define install
echo "Installing locked packages from $(1) ..."; \
{ command -v uv >/dev/null 2>&1 \
  && uv pip install --quiet --compile-bytecode --python $(PY) --no-deps --require-hashes -r $(1); } \
|| $(PY) -m pip install --quiet --disable-pip-version-check --no-input --no-deps --require-hashes -r $(1)
endef

help: ## Print this list
	@awk -F ':.*## ' -v absent='$(ABSENT)' '/^[a-z]+:.*## / && index(" " absent " ", " " $$1 " ") == 0 \
	  { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/.dev ## Make .venv with everything to run, test and lint (other commands do it themselves)

run: $(VENV)/.runtime ## Run all five services here, with a database of their own; prints their addresses
	@exec $(PY) -m deploy.cli run

# Three at once keep two cores busy: who tests Kafka waits for it half of the time.
# Many processes of the tests load the same code, which is compiled once even where the shell forbids it elsewhere.
test: $(VENV)/.dev ## Run the tests; T="-k worklist" chooses some
	@PYTHONDONTWRITEBYTECODE= $(PY) -m pytest -n 3 --no-loadscope-reorder -m "not long" $(T)

lint: $(VENV)/.dev ## Check style, format, types and who may import whom
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(VENV)/bin/basedpyright
	$(VENV)/bin/lint-imports

audit: $(VENV)/.audit ## Ask PyPI for known holes in the locked packages
	@for locked in requirements.lock requirements-dev.lock; do \
	  $(PY) -m pip_audit --progress-spinner off --disable-pip --no-deps --require-hashes -r $$locked || exit 1; \
	done

topics: $(VENV)/.runtime ## Print which service says and hears what
	@$(PY) -m deploy.cli topics

up: .env ## Run everything in Docker: Kafka, PostgreSQL, a mail catcher and the services
	docker compose up --build

kafka: $(VENV)/.runtime ## Run Apache Kafka without Docker (Java 17 and Maven) until Ctrl-C
	@exec $(PY) -m deploy.kafka_server

ifeq ($(filter bench,$(ABSENT)),)
bench: $(VENV)/.bench ## Measure against baselines in one run; T="intake facts" chooses some
	@$(PY) -m bench $(T)
endif

ifeq ($(filter faults,$(ABSENT)),)
faults: $(VENV)/.dev ## Kill, pause and cut servers under load, and check what may never be lost
	@FAULT_LEADS=$${FAULT_LEADS:-25000} FAULTS=$${FAULTS:-50} $(PY) -m pytest -s tests/faults $(T)
endif

.env:
	@umask 077; printf 'LEADLINE_API_KEY=%s\n' "$$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')" > $@
	@echo "Made an operator's key and wrote it to $@"

lock: ## Resolve the dependencies of pyproject.toml anew (needs uv)
	uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --custom-compile-command "make lock" pyproject.toml -o requirements.lock
	uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --custom-compile-command "make lock" pyproject.toml --group dev -c requirements.lock -o requirements-dev.lock
	uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --custom-compile-command "make lock" --group bench -c requirements-dev.lock -o requirements-bench.lock
	uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --custom-compile-command "make lock" --group audit -c requirements-dev.lock -o requirements-audit.lock

$(VENV)/pyvenv.cfg:
	@$(find_python); "$$found" -m venv $(VENV)

$(VENV)/.runtime: requirements.lock | $(VENV)/pyvenv.cfg $(VENV)/bin/leadline
	@$(call install,$<)
	@touch $@

$(VENV)/.dev: requirements-dev.lock | $(VENV)/pyvenv.cfg $(VENV)/bin/leadline
	@$(call install,$<)
	@touch $@ $(VENV)/.runtime

$(VENV)/.bench: requirements-bench.lock $(VENV)/.dev
	@$(call install,$<)
	@touch $@

$(VENV)/.audit: requirements-audit.lock $(VENV)/.dev
	@$(call install,$<)
	@touch $@

# `.venv/bin/leadline` works from every folder, also after the clone was moved.
$(VENV)/bin/leadline: | $(VENV)/pyvenv.cfg
	@printf '%s\n' '#!/bin/sh' 'bin=$$(cd "$$(dirname "$$0")" && pwd)' \
	  'PYTHONPATH="$$bin/../.." exec "$$bin/python" -m deploy.cli "$$@"' > $@
	@chmod +x $@

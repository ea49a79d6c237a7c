# Two commands are enough: `make demo` and `make test`. Each brings .venv up to its lock first (0.2 s when it is).
# Tests run in two processes, each with a database and a broker number of its own; most of their time is waiting.

PYTHON ?= python3
BOOT = $(PYTHON) console/management/bootstrap.py
RUN = $(BOOT) requirements.lock --
DEV = $(BOOT) requirements-dev.lock --
IN_VENV = .venv/bin
ARGS ?=
PURE = tests/judges tests/architecture

.DEFAULT_GOAL := help
.PHONY: help demo test check lint bench soak test-browser locks clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## start everything on this machine, seeded, until Ctrl-C
	@$(RUN) manage.py demo $(ARGS)

test: lint ## lint, then every test (ARGS="-k word" for some)
	@$(DEV) -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not bench and not soak" $(ARGS)

check: lint ## lint, then the tests that need no browser and no worker: a quick look before a commit
	@$(DEV) -m pytest -n 2 --dist loadfile $(PURE) -m "not browser and not bench and not soak" $(ARGS)

lint: ## format, lint, types, import contracts
	@$(BOOT) requirements-dev.lock
	@$(IN_VENV)/ruff format --check --quiet .
	@$(IN_VENV)/ruff check --quiet .
	@COUNTERSIGN_MODE=test $(IN_VENV)/mypy
	@COUNTERSIGN_MODE=test $(IN_VENV)/lint-imports

bench: ## measure beside a floor of its own (ARGS="--quick", --full, --only work, --strict)
	@$(DEV) -m tests.bench $(ARGS)
	@$(IN_VENV)/python -m pytest -m bench -n0 -s -q

soak: ## long load with faults; SOAK_MINUTES=60 by default
	@$(DEV) -m pytest -m soak -n0 -s $(ARGS)

test-browser: ## the browser tests alone; fetches Playwright's Chromium if this machine has none
	@$(DEV) -m tests.chromium || $(IN_VENV)/python -m playwright install chromium-headless-shell
	@REQUIRE_BROWSER=1 $(DEV) -m pytest -m browser $(ARGS)

locks: ## resolve the lock files anew (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet \
		--upgrade pyproject.toml -o requirements.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet \
		--upgrade --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock
	$(PYTHON) -c "import tomllib; extras = tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']; \
		print(*extras['traces'], sep='\n')" \
		| uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet \
		--upgrade -c requirements-dev.lock - -o requirements-traces.lock

clean: ## remove .venv and caches; keeps var, the demo's data
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# `make help` says what each target does. The work itself is in tools/, one readable script each.

SHELL := bash
PYTHON ?=
# With PYTHON=X.Y the service and its tests only, in a folder of its own; else the whole controller.
LEVEL = $(if $(PYTHON),service,controller)

.DEFAULT_GOAL := help
.PHONY: help run test test-slow soak lint bench bench-report docs clean venv lock wheelhouse

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

run: ## the service on 127.0.0.1:18180 with a sample in ./data (PORT=..., DATA=...)
	@tools/run

test: venv ## everything: lint, service tests, the same on the oldest Python, a test host
	@.venv/bin/python tools/run_tests.py test

test-slow: venv ## what takes minutes: crash, load and further host scenarios
	@.venv/bin/python tools/run_tests.py test-slow

soak: venv ## run under load for as long as SOAK_SECONDS says
	@.venv/bin/python tools/run_tests.py soak

lint: venv ## ruff, mypy, layering, shellcheck, yamllint, ansible-lint, known flaws of the locks
	@.venv/bin/python tools/run_tests.py lint

bench: venv ## measure this machine and the service on it
	@.venv/bin/python -m bench --record build/bench.ndjson

bench-report: venv ## write docs/performance.md's tables and charts from recorded results (RESULTS=...)
	@.venv/bin/python -m bench._report $(RESULTS)

docs: venv ## write what is made of descriptions (tables of roles, dashboards), check every link
	@.venv/bin/python tools/role_docs.py
	@.venv/bin/python tools/dashboards.py
	@.venv/bin/python tools/check_docs.py

venv: ## make or complete .venv (PYTHON=3.10: the service and its tests only, in .venv-3.10)
	@tools/venv $(LEVEL) $(PYTHON) >/dev/null

lock: ## resolve pyproject.toml into requirements/*.txt (UPGRADE=1: to the newest versions)
	@tools/lock $(if $(UPGRADE),--upgrade)

wheelhouse: venv ## what hosts install from, one folder and archive a Python, below build/wheelhouse
	@.venv/bin/python tools/wheelhouse.py

clean: ## remove environments, caches and build results (data/ stays)
	rm -rf .venv .venv-* .cache build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

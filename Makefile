# `make help` says what each target does. The work itself is in tools/, one readable script each.

SHELL := bash
PYTHON ?=
# With PYTHON=X.Y the service and its tests only, in a folder of its own; else the whole controller.
LEVEL = $(if $(PYTHON),service,controller)
VENV = .venv$(if $(PYTHON),-$(PYTHON))

.DEFAULT_GOAL := help
.PHONY: help venv lock clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

venv: ## make or complete .venv (PYTHON=3.10: the service and its tests only, in .venv-3.10)
	@tools/venv $(LEVEL) $(PYTHON)

lock: ## resolve pyproject.toml into requirements/*.txt (UPGRADE=1: to the newest versions)
	@tools/lock $(if $(UPGRADE),--upgrade)

clean: ## remove environments, caches and build results (data/ stays)
	rm -rf .venv .venv-* .cache build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

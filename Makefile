# What people do with a clone. Each target makes its own environment in .venv, and says what it needs.
# PYTHON=/path/to/python3.11 chooses the interpreter; ARGS='…' is passed on to the command.

SHELL := /bin/bash
PYTHON ?= python3
export PYTHON
# Compiled modules are kept: the tests start hundreds of commands.
unexport PYTHONDONTWRITEBYTECODE
BIN := .venv/bin
CODE := statscache .venv/names/statscache_plugins tests benchmarks

.DEFAULT_GOAL := help
.PHONY: help demo test lint types bench torture kills deployment image screenshot release lock clean runtime-venv test-venv others

help: ## Say what can be made
	@echo "statscache: make TARGET, where TARGET is"
	@sed -nE 's/^([a-z]+):.*## (.*)/  \1 \2/p' Makefile | while read -r target text; do printf '  %-11s %s\n' "$$target" "$$text"; done

demo: runtime-venv ## The whole job on this machine: simulated traffic, a published tree, a page to look at
	@$(BIN)/statscache demo $(ARGS)

test: ## Everything: set-up, lint, types, layering and all tests
	@bash .ci/set-up
	@# Beside each other; what each says stays together.
	@$(MAKE) --no-print-directory --jobs=3 --output-sync=target lint types others
	@echo "== all tests (pytest)"
	@# Four at a time on two cores: some of what is tested waits for a server. Who has done its part takes from the others'.
	@$(BIN)/python -m pytest -n 4 --dist worksteal $(ARGS)

lint: test-venv ## Style (ruff), plain words, and the layering of the stages (import-linter)
	@echo "== style (ruff)"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@echo "== plain words"
	@$(BIN)/python .ci/plain_words.py
	@echo "== layering (import-linter)"
	@$(BIN)/lint-imports --no-cache --no-logo

others: test-venv
	@bash .ci/set-up --others

types: test-venv ## Types (mypy, strict)
	@echo "== types (mypy)"
	@$(BIN)/mypy $(CODE)

bench: test-venv ## Speed and memory, as ratios; ARGS chooses sections
	@$(BIN)/python -m benchmarks $(ARGS)

torture: test-venv ## Kill a real run again and again, and compare what it publishes in the end
	@$(BIN)/python -m benchmarks.torture $(ARGS)

kills: test-venv ## Kill at every operation, where the tests kill at each fifth
	@KILL_EVERYWHERE=1 $(BIN)/python -m pytest -n 3 --dist loadfile $$(grep -lr --include='test_*.py' STRIDE tests) $(ARGS)

deployment: test-venv ## Deploy with ansible to a Debian machine that is made for it; needs root
	@bash .ci/debian debootstrap openssh-client
	@$(BIN)/python -m pytest tests/deployment.py $(ARGS)

image: test-venv ## Build the image of packaging/Containerfile on stand-ins for its bases, and run it; needs root
	@bash .ci/debian buildah debootstrap
	@bash .ci/image

screenshot: test-venv ## Photograph a page of the demo's site for README.md; needs chromium-headless-shell
	@$(BIN)/python .ci/screenshot.py

release: test-venv ## Build sdist and wheel of the last commit into dist/, the same bytes each time, and try them
	@bash .ci/release

lock: test-venv ## Write requirements.txt again: the versions for deployment, with hashes
	@$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--custom-compile-command 'make lock' --extra amqp --extra brotli --extra postgresql --extra signatures \
		--output-file requirements.txt setup.py

clean: ## Remove what make made here: the environment, caches, builds
	rm -rf .venv .bench build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

runtime-venv:
	@bash .ci/venv

test-venv:
	@bash .ci/venv test

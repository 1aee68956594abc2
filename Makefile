# Shorthands for people who have make; CI runs README's one command instead, which does the same.
PYTHON ?= .venv/bin/python
export PATH := $(abspath .venv/bin):$(PATH)

.PHONY: check lint test long format lock

check: lint test ## everything CI checks

lint: ## style, types and who imports whom
	$(PYTHON) -m ruff check
	$(PYTHON) -m ruff format --check
	$(PYTHON) -m mypy
	lint-imports

test: ## the suite without the gates that `lint` has just run
	$(PYTHON) -m pytest -q --ignore tests/test_gates.py

long: ## the tests that take minutes
	$(PYTHON) -m pytest -q -m long

format: ## make the code look as `lint` wants it
	$(PYTHON) -m ruff check --fix
	$(PYTHON) -m ruff format

lock: ## pin what pyproject.toml asks for, newest versions that fit (needs uv on PATH)
	uv pip compile --upgrade --universal --python-version 3.11 --generate-hashes --all-extras --no-annotate \
		--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' \
		pyproject.toml -o requirements.lock
	printf '# Generated from requirements.lock by: make lock\n' > constraints.txt
	sed -nE 's/^([a-z0-9][^ ]*==[^\\]*[^ \\]) *\\?$$/\1/p' requirements.lock >> constraints.txt

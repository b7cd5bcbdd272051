# Two commands are all a newcomer needs: `make run` and `make test`. They need Python 3.11 or newer and nothing else.
PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= 2

.PHONY: run test check setup bench lock schema clean
.DEFAULT_GOAL := run

run: .venv/.ready ## set everything up and serve on http://127.0.0.1:8000
	@$(BIN)/mina serve

test: .venv/.ready ## every test, against a real PostgreSQL that the tests start themselves
	@$(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile

check: .venv/.ready ## format, lint, types, import contracts, schema and SQL snapshots
	@$(BIN)/ruff format --check --quiet . && echo "format: ok"
	@$(BIN)/ruff check --quiet . && echo "lint: ok"
	@$(BIN)/mypy --no-error-summary && echo "types: ok"
	@$(BIN)/lint-imports --no-cache >.venv/imports.log || (cat .venv/imports.log; exit 1) && echo "import contracts: ok"
	@$(BIN)/mina schema | diff -u schema.graphql - && echo "schema.graphql: ok"
	@$(BIN)/mina migrate --sql | diff -u supabase/mega_tables.sql - && echo "supabase/mega_tables.sql: ok"

setup: .venv/.ready ## the virtual environment with locked dependencies

bench: .venv/.ready ## time and memory, each beside its goal
	@$(BIN)/python benchmarks/bench.py

schema: .venv/.ready ## print the snapshots anew after a change
	@$(BIN)/mina schema > schema.graphql
	@$(BIN)/mina migrate --sql > supabase/mega_tables.sql
	@echo "Wrote schema.graphql and supabase/mega_tables.sql. Next: look at the diff."

lock: .venv/.ready ## resolve the dependencies anew
	@$(BIN)/uv pip compile --quiet --universal --upgrade --generate-hashes --no-emit-index-url --no-annotate --no-header \
		--python-version 3.11 --group dev pyproject.toml --output-file requirements.lock
	@echo 'litellm[proxy]' | $(BIN)/uv pip compile --quiet --universal --upgrade --generate-hashes --no-emit-index-url --no-annotate --no-header \
		--python-version 3.11 - --output-file tests/vendors/litellm.lock
	@echo "Wrote requirements.lock and tests/vendors/litellm.lock. Next: make test."

clean: ## remove the virtual environment and the caches; data in .mina stays
	rm -rf .venv .venv-litellm .venv-litellm.lock .mypy_cache .ruff_cache .pytest_cache .hypothesis

.venv/.ready: requirements.lock pyproject.toml
	@echo "Setting up .venv (once; a minute or two) …"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Mina needs Python 3.11 or newer; call make PYTHON=python3.12 …")'
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.9"
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

# Each target sets up what it needs in .venv; nothing but Python 3.11 and make is taken for granted.

PYTHON ?= $(shell for python in python3.11 python3 python3.12 python3.13; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; done)
BIN := .venv/bin

.PHONY: test lint demo bench results clean

test: lint
	$(BIN)/python -m pytest -n 2

lint: .venv/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

demo: .venv/installed
	$(BIN)/particlecast demo

bench: .venv/installed
	$(BIN)/particlecast bench

# Some three hours for all seeds; stopped, it goes on.
results: .venv/installed
	$(BIN)/particlecast results --pretrained pipelines/pretrained

# Packages are found where they lie (compat mode), so that editing them needs no new installation.
.venv/installed: setup.cfg pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "no Python 3.11 or newer was found: install one, or run make PYTHON=/path/to/python" >&2; exit 1; }
	@echo "setting up .venv (a minute or two)"
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt --config-settings editable_mode=compat -e '.[dev]'
	touch $@

clean:
	rm -rf .venv *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

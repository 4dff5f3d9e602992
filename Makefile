# Each target sets up what it needs in .venv; nothing but Python 3.11 and make is taken for granted.

PYTHON ?= $(shell for python in python3.11 python3 python3.12 python3.13; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; done)
BIN := .venv/bin

.PHONY: test browser lint demo bench results clean

test: lint browser
	$(BIN)/python -m pytest -n 2

# The page is tested in the system's Chromium.
HAS_BROWSER = $(BIN)/python -c 'import sys, tests.pipelines.browser as b; sys.exit(not b.installed())'
browser: .venv/installed
	@$(HAS_BROWSER) || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null || exit 0; \
		echo "installing chromium, which the tests of the page need"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; } || true
	@$(HAS_BROWSER) || { echo "no Chromium was found, which the tests of the page need:" \
		"sudo apt-get install chromium, or put chromium or google-chrome on the PATH" >&2; exit 1; }

lint: .venv/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

demo: .venv/installed
	$(BIN)/particlecast demo

bench: .venv/installed
	$(BIN)/particlecast bench

# Some eight hours for all seeds; stopped, it goes on. VIDEO=vtest.avi adds a video of yours.
results: .venv/installed
	-$(BIN)/particlecast get-weights
	$(BIN)/particlecast results --pretrained pipelines/pretrained --readme README.md $(if $(VIDEO),--video $(VIDEO))
	OMP_NUM_THREADS=1 $(BIN)/particlecast ablate --data synthetic:billiards,size=64 --run runs/results/billiards/0 --out runs/ablation \
		--max-steps 600 --page docs/ablation.md
	$(BIN)/particlecast bench
	$(BIN)/python -m benchmarks.scaling
	$(BIN)/python -m pipelines.compare_keypoints --out runs/keypoints --page docs/faces.md
	$(BIN)/python -m tests.tutorial docs/tutorial.ipynb

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

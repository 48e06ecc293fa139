# The two commands of the README are `make demo` and `make test`; both make .venv first, with Python 3.11 or newer.
PYTHON ?= python3
# The two MM families, onedl and openmmlab, share their import names: each has an environment of its own.
FAMILY := onedl
VENV := .venv
BIN := $(VENV)/bin
INSTALL = $(BIN)/python -m pip install --quiet -c constraints.txt --build-constraint constraints.txt
RUN := work_dirs/xcit_upernet_digits

.PHONY: setup setup-det demo test test-openmmlab test-fast lint docs wheel transcript clean

setup: $(VENV)/.installed

# torch comes first, in the version that CI tests; without it, other packages pull in the newest build.
$(VENV)/.installed: setup.py constraints.txt
	@echo "==> installing into $(VENV) (minutes; longer where PyPI serves a CUDA build of torch)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: make needs Python 3.11 or newer, and \
	$(PYTHON) is older: PYTHON=python3.12 make, say, names another")'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(INSTALL) torch
	$(INSTALL) -e '.[$(FAMILY),dev]'
	@touch $@

# What detection needs besides: mmcv's compiled ops, which PyPI has no wheel of, and mmdet.
setup-det: $(VENV)/.installed-det

$(VENV)/.installed-det: $(VENV)/.installed
	@echo "==> compiling mmcv's ops (about 2 minutes on 2 cores; seconds if they are cached) and installing mmdet"
	$(BIN)/python tools/install_ops.py
	$(INSTALL) -e '.[$(FAMILY)-det]'
	$(BIN)/python -c 'from xcit_mm.installation import require_detection; require_detection()'
	@touch $@

demo: setup
	@echo "==> 1/4 composing the digits data set"
	$(BIN)/python tools/prepare_dataset.py digits
	@echo "==> 2/4 training (about six minutes on 2 cores)"
	$(BIN)/python tools/train.py configs/xcit_upernet_digits.py --work-dir $(RUN)
	@echo "==> 3/4 evaluating on held-out scenes"
	$(BIN)/python tools/test.py configs/xcit_upernet_digits.py "$$(cat $(RUN)/last_checkpoint)" --work-dir $(RUN)
	@echo "==> 4/4 drawing"
	$(BIN)/python tools/infer.py configs/xcit_upernet_digits.py "$$(cat $(RUN)/last_checkpoint)" \
	  data/digits/images/val --out $(RUN)/pictures
	$(BIN)/python tools/plot_training.py $(RUN) --out $(RUN)/learning_curve.png
	@echo "overlays: $(RUN)/pictures   learning curve: $(RUN)/learning_curve.png"

test: setup-det
	@echo "==> the whole test suite"
	$(BIN)/python -m pytest

# The same on the original OpenMMLab packages, whose ops are compiled the first time, too.
test-openmmlab:
	$(MAKE) test FAMILY=openmmlab VENV=.venv-openmmlab

test-fast: setup
	$(BIN)/python -m pytest -m 'not slow'

lint: setup
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo  # the layers of the package; see pyproject.toml
	$(BIN)/pylint xcit_mm tools tests configs setup.py  # copies of code; see pyproject.toml

docs: setup
	$(BIN)/python -m sphinx -W --keep-going -q docs docs/_build

# The sdist, and the wheel out of the sdist.
wheel: setup
	rm -rf build dist
	$(BIN)/python -m build --quiet
	$(BIN)/python tests/check_wheel.py dist/*.whl

transcript: wheel
	@echo "==> a project of somebody else's adopts the wheel"
	PYTHON=$(PYTHON) tests/adoption.sh dist/*.whl

clean:
	rm -rf build dist docs/_build work_dirs outputs

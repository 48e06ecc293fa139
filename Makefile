# The README uses `make demo` and `make test`; both first create .venv, which needs Python 3.11 or newer.
PYTHON ?= python3
# The two MM families, onedl and openmmlab, share their import names, so each needs a separate environment.
FAMILY := onedl
VENV := .venv
BIN := $(VENV)/bin
INSTALL = $(BIN)/python -m pip install --quiet -c constraints.txt --build-constraint constraints.txt
RUN := work_dirs/xcit_upernet_digits
# One test process per core, but at most four, because each needs up to 4 GB of memory. tests/conftest.py divides the
# threads among them. After a crash of a process, pytest-xdist would start another one and then wait forever.
PYTEST := $(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadgroup --max-worker-restart 0

.PHONY: setup setup-det demo test test-openmmlab test-fast fuzz lint docs wheel transcript clean

setup: $(VENV)/.installed

# Install torch first, in the version that CI tests; otherwise other packages pull in the newest build.
$(VENV)/.installed: setup.py constraints.txt
	@echo "==> installing into $(VENV) (takes minutes, and longer if PyPI serves a CUDA build of torch)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: make needs Python 3.11 or newer, but \
	$(PYTHON) is older; choose another one, e.g. with PYTHON=python3.12 make")'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(INSTALL) torch
	$(INSTALL) -e '.[$(FAMILY),dev]'
	@touch $@

# Detection also needs mmdet and mmcv's compiled ops, for which PyPI has no wheel.
setup-det: $(VENV)/.installed-det

$(VENV)/.installed-det: $(VENV)/.installed
	@echo "==> compiling mmcv's ops (about 2 minutes on 2 cores; seconds if they are cached) and installing mmdet"
	$(BIN)/python tools/install_ops.py
	$(INSTALL) -e '.[$(FAMILY)-det]'
	$(BIN)/python -c 'from xcit_mm.installation import require_detection; require_detection()'
	@touch $@

demo: setup
	@echo "==> 1/4 preparing the digits data set"
	$(BIN)/python tools/prepare_dataset.py digits
	@echo "==> 2/4 training (about six minutes on 2 cores)"
	$(BIN)/python tools/train.py configs/xcit_upernet_digits.py --work-dir $(RUN)
	@echo "==> 3/4 evaluating on held-out scenes"
	$(BIN)/python tools/test.py configs/xcit_upernet_digits.py "$$(cat $(RUN)/last_checkpoint)" --work-dir $(RUN)
	@echo "==> 4/4 drawing overlays and the learning curve"
	$(BIN)/python tools/infer.py configs/xcit_upernet_digits.py "$$(cat $(RUN)/last_checkpoint)" \
	  data/digits/images/val --out $(RUN)/pictures
	$(BIN)/python tools/plot_training.py $(RUN) --out $(RUN)/learning_curve.png
	@echo "overlays: $(RUN)/pictures   learning curve: $(RUN)/learning_curve.png"

test: setup-det
	@echo "==> running all tests"
	$(PYTEST)

# Run the same tests on the original OpenMMLab packages; the first run compiles their ops.
test-openmmlab:
	$(MAKE) test FAMILY=openmmlab VENV=.venv-openmmlab

test-fast: setup
	$(PYTEST) -m 'not slow'

# Try 10,000 random settings, checkpoints, images and COCO files; `make test` tries 60 of each kind.
fuzz: setup-det
	$(PYTEST) tests/fuzz --hypothesis-profile=thorough

lint: setup
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo  # layers of the package; see pyproject.toml
	$(BIN)/pylint xcit_mm tools tests configs setup.py  # duplicated code; see pyproject.toml

docs: setup
	$(BIN)/python -m sphinx -W --keep-going -q docs docs/_build

# Build the sdist, and the wheel from the sdist.
wheel: setup
	rm -rf build dist
	$(BIN)/python -m build --quiet
	$(BIN)/python tests/check_wheel.py dist/*.whl

transcript: wheel
	@echo "==> using the wheel in another project"
	PYTHON=$(PYTHON) tests/adoption.sh dist/*.whl

clean:
	rm -rf build dist docs/_build work_dirs outputs

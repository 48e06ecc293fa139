#!/usr/bin/env bash
# Use the wheel in another project and print the transcript: tests/adoption.sh WHEEL.
# In a new virtual environment and an empty folder, write a config that inherits ours; then prepare data, train, test and
# infer with the tools of the wheel. Stop at the first step that fails.
set -euo pipefail
wheel=$(realpath "$1")
constraints=(-c "$(realpath "$(dirname "$0")/../constraints.txt")")
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
unset PYTHONPATH  # do not import from the checkout
mkdir "$place/project"
cd "$place/project"
# Some pinned versions have no distribution for Python 3.10.
"${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || constraints=()
set -x

"${PYTHON:-python3}" -m venv ../venv
PATH=$place/venv/bin:$PATH
python -m pip install --quiet --upgrade pip
python -m pip install --quiet "${constraints[@]}" torch
python -m pip install --quiet "${constraints[@]}" "$wheel[onedl,digits]"
tools=$(python -c "from xcit_mm.installation import installed_folder; print(installed_folder('xcit_mm', 'tools'))")

cat > mine.py <<'END'
_base_ = __import__('xcit_mm').config_path('xcit_upernet_digits.py')
model = dict(backbone=dict(drop_path_rate=0.1))
train_dataloader = dict(batch_size=4)
val_dataloader = test_dataloader = dict(dataset=dict(indices=20))
train_cfg = dict(max_iters=4, val_interval=4)
default_hooks = dict(checkpoint=dict(interval=4), logger=dict(interval=2))
END
python "$tools/prepare_dataset.py" digits
python "$tools/train.py" mine.py
python "$tools/test.py" mine.py work_dirs/mine/iter_4.pth | tee test.log
grep '^mIoU: [0-9.]*$' test.log
python "$tools/infer.py" mine.py work_dirs/mine/iter_4.pth data/digits/images/val/00000.png --out pictures
ls -l pictures/00000_overlay.png pictures/00000_classes.png

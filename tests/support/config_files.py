"""The config files as test parameters."""
import re
from pathlib import Path

import pytest
from detection import needs_mmdet

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
ALL = sorted(CONFIGS.rglob('*.py'))
LEAVES = [path for path in ALL if '_base_' not in path.parts]


def name(path):
    return str(path.relative_to(CONFIGS))


def as_parameters(paths, slow=False):
    """Turn paths into test parameters; without mmdet, skip those that need it. ``slow`` marks those in subfolders."""
    def marks(path):
        if re.search('mask_rcnn|coco', name(path)):
            yield needs_mmdet
        if slow and path.parent != CONFIGS:
            yield pytest.mark.slow

    return [pytest.param(path, id=name(path), marks=list(marks(path))) for path in paths]

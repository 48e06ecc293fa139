"""The config files, as parameters of tests."""
import re
from pathlib import Path

import pytest
from detection import needs_mmdet

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
ALL = sorted(CONFIGS.rglob('*.py'))
LEAVES = [path for path in ALL if '_base_' not in path.parts]


def name(path):
    return str(path.relative_to(CONFIGS))


def of_mmdet(paths, slow=False):
    """Parameters of a test, those that need mmdet skipped where it is not; with ``slow``, the zoo's siblings are."""
    def marks(path):
        if re.search('mask_rcnn|coco', name(path)):
            yield needs_mmdet
        if slow and path.parent != CONFIGS:
            yield pytest.mark.slow

    return [pytest.param(path, id=name(path), marks=list(marks(path))) for path in paths]

import sys

import pytest
from detection import needs_mmdet

from xcit_mm.installation import require_detection


@needs_mmdet
def test_nothing_is_said_where_all_is_there():
    require_detection()


@pytest.mark.parametrize('module, words', [
    ('mmcv._ext', "detection needs mmcv's compiled ops"), ('mmdet', 'no package mmdet')])
def test_a_detection_config_names_the_command_that_is_missing(run_here, monkeypatch, module, words):
    monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
    message = run_here('train', 'configs/xcit_mask_rcnn_digits.py')
    assert message.startswith('error: ') and '\n' not in message
    assert words in message and 'make setup-det' in message

import sys

import pytest
from detection import needs_mmdet

from xcit_mm.installation import require_detection


@needs_mmdet
def test_complete_installation_passes():
    require_detection()


@pytest.mark.parametrize('module, words', [
    ('mmcv._ext', "cannot run detection: mmcv's compiled ops"), ('mmdet', 'package mmdet is not installed')])
def test_error_names_the_command_that_installs_detection(run_here, monkeypatch, module, words):
    monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
    message = run_here('train', 'configs/xcit_mask_rcnn_digits.py')
    assert message.startswith('error: ') and '\n' not in message
    assert words in message and 'make setup-det' in message

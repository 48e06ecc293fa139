import sys

import pytest
from detection import needs_mmdet

from xcit_mm import compiled_ops
from xcit_mm.errors import InputError


@needs_mmdet
def test_nothing_is_said_where_all_is_there():
    compiled_ops.require()


@pytest.mark.parametrize('module, words', [
    ('mmcv._ext', "detection needs mmcv's compiled ops"), ('mmdet', 'no package mmdet')])
def test_a_detection_config_names_the_command_that_is_missing(run_here, monkeypatch, module, words):
    monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
    message = run_here('train', 'configs/xcit_mask_rcnn_digits.py')
    assert message.startswith('error: ') and '\n' not in message
    assert words in message and 'make setup-det' in message


def test_a_failed_build_shows_the_end_of_what_the_compiler_said(tmp_path, monkeypatch):
    monkeypatch.setenv('PIP_NO_INDEX', '1')
    monkeypatch.setattr(compiled_ops, '_import_error', lambda: 'none')
    monkeypatch.setattr(compiled_ops, '_installed_mmcv', lambda: ('xcit_mm_no_such_package', '0.0'))
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    monkeypatch.setattr(compiled_ops, 'BUILD_TOOLS', ('pip', ))
    with pytest.raises(InputError, match='building the ops of xcit_mm_no_such_package==0.0 failed:(.|\n)*No matching'):
        compiled_ops.install(lambda done, total: None)
    assert not list(tmp_path.rglob('*.whl'))

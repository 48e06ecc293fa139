"""What the tests of detection share."""
from importlib.util import find_spec

import pytest

HAS_MMDET = bool(find_spec('mmdet') and find_spec('mmcv._ext'))
needs_mmdet = pytest.mark.skipif(not HAS_MMDET, reason='no mmdet with compiled ops: make setup-det')

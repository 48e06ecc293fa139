"""Skip tests of detection if mmdet or the compiled ops are missing."""
from importlib.util import find_spec

import pytest

HAS_MMDET = bool(find_spec('mmdet') and find_spec('mmcv._ext'))
needs_mmdet = pytest.mark.skipif(not HAS_MMDET, reason='mmdet or its compiled ops are missing: run make setup-det')

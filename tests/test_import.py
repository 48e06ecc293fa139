"""Importing the package loads no runner and no other MM project."""
import subprocess
import sys

import pytest

LOADED = """
import sys, {module}
heavy = ('mmseg', 'mmdet', 'safetensors', 'mmcv.ops', 'mmengine.runner', 'torch.distributed.fsdp',
         'rasterio', 'pyogrio')
print([name for name in sys.modules if name.startswith(heavy)])
"""


@pytest.mark.parametrize('module', ['xcit_mm', 'xcit_mm.checkpoints', 'xcit_mm.statistics'])
def test_no_runner_and_no_other_project_is_loaded(module):
    result = subprocess.run([sys.executable, '-c', LOADED.format(module=module)], capture_output=True, text=True)
    assert result.stdout.strip() == '[]', result.stdout + result.stderr


def test_inference_modes_sources_and_sinks_are_listed_without_other_packages():
    code = LOADED.format(module='xcit_mm.apis, xcit_mm.inference.modes, xcit_mm.inference.results')
    result = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    for name in ('mmseg', 'mmdet', 'rasterio', 'pyogrio'):
        assert name not in result.stdout, result.stdout + result.stderr

"""Exported files compute what the model does, at any size; what does not is not kept."""
import json
from importlib.util import find_spec

import pytest
import torch
from mmengine.config import Config
from torch.nn.modules.batchnorm import _BatchNorm

from xcit_mm import config_path
from xcit_mm.apis import init_model
from xcit_mm.errors import InputError
from xcit_mm.export import export, exported_function
from xcit_mm.export.formats import run_onnx, run_program
from xcit_mm.export.parity import largest_difference
from xcit_mm.export.symbolic import MatrixPool2d
from xcit_mm.layers import PositionalEncoding

needs_onnx = pytest.mark.skipif(not all(map(find_spec, ('onnx', 'onnxscript', 'onnxruntime'))), reason='no ONNX')
CLASSES = 5


def config(kind, patch, depth=1):
    """A published recipe with the width of nano, fewer blocks, and narrow heads."""
    result = Config.fromfile(config_path(f'{kind}/xcit_{kind}_nano_12_p{patch}_ade20k.py'))
    arch = dict(embed_dim=128, depth=depth, num_heads=4, patch_size=patch)
    result.model.backbone.update(arch=arch, out_indices=(0, 0, depth - 1, depth - 1), init_cfg=None)
    result.model.decode_head.update(channels=16, num_classes=CLASSES)
    if kind == 'upernet':
        result.model.decode_head.pool_scales = (1, 3)
        result.model.auxiliary_head.num_classes = CLASSES
    else:
        result.model.neck.out_channels = 16
        result.model.decode_head.in_channels = [16] * 4
    return result


def build(*args):
    torch.manual_seed(0)
    model = init_model(config(*args))
    model.backbone.init_weights()
    for module in model.modules():  # as after a training: the initial ones would hide a norm that is left out
        if isinstance(module, _BatchNorm):
            module.running_mean.normal_(std=0.3)
            module.running_var.uniform_(0.5, 2)
            torch.nn.init.normal_(module.bias, std=0.3)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
    torch.nn.init.normal_(model.decode_head.conv_seg.weight)
    return model


@needs_onnx
@pytest.mark.parametrize('kind, patch, backbone_only, suffix', [
    ('upernet', 16, False, '.onnx'), ('upernet', 8, False, '.pt2'), ('sem_fpn', 16, False, '.pt2'),
    ('sem_fpn', 8, False, '.onnx'), ('upernet', 16, True, '.onnx'), ('sem_fpn', 8, True, '.pt2')])
def test_files_compute_what_the_model_does(tmp_path, kind, patch, backbone_only, suffix):
    model, path = build(kind, patch), tmp_path / f'model{suffix}'
    facts, comparisons = export(model, path, backbone_only, (160, 224))
    assert len(comparisons) == 3 and max(row.difference for row in comparisons) < 1e-5

    function = exported_function(model, backbone_only)
    run = (run_onnx if suffix == '.onnx' else run_program)(path)
    for size in ((1, 64, 64), (3, 131, 77), (1, 200, 333)):
        image = torch.randn(size[0], 3, *size[1:])
        with torch.no_grad():
            expected = function(image)
        assert [len(expected), expected[0].shape[1]] == ([4, 128] if backbone_only else [1, CLASSES])
        assert largest_difference(run(image), expected) < 1e-5
    weights = 4 * sum(parameter.numel() for parameter in function.parameters())
    assert weights < path.stat().st_size < 1.1 * weights + 2e6
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert json.loads(facts['mean']) == [123.675, 116.28, 103.53] and facts['color'] == 'RGB'
    assert facts['strides'] == ('[4, 8, 16, 32]' if backbone_only else '[1]')

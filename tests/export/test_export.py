"""Exported files give the same results as the model at any size; files that do not are discarded."""
import json
import sys
from importlib.util import find_spec

import pytest
import torch
from benchmarks.runtimes import load_openvino
from detection import needs_mmdet
from mmengine.config import Config
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from xcit_mm import XCiT, config_path
from xcit_mm.apis import init_model
from xcit_mm.errors import InputError
from xcit_mm.export import export, exported_function
from xcit_mm.export.exporting import FILE_FORMATS
from xcit_mm.export.file_format import FileFormat
from xcit_mm.export.parity import largest_difference

needs_onnx = pytest.mark.skipif(not all(map(find_spec, FILE_FORMATS['.onnx'].packages)), reason='ONNX is not installed')
CLASSES, SIZE = 5, (128, 128)


def config(kind, patch):
    """Shrink a recipe to one block as wide as nano's and small heads, because each operation slows tracing."""
    result = Config.fromfile(config_path(f'{kind}/xcit_{kind}_nano_12_p{patch}_ade20k.py'))
    arch = dict(embed_dim=128, depth=1, num_heads=4, patch_size=patch)
    result.model.backbone.update(arch=arch, out_indices=(0, 0, 0, 0), init_cfg=None)
    result.model.decode_head.update(channels=16, num_classes=CLASSES)
    result.test_dataloader.dataset.metainfo = dict(classes=list(map(str, range(CLASSES))))
    if kind == 'upernet':
        result.model.decode_head.update(in_index=[0, 3], in_channels=[128, 128], pool_scales=(1, 3))
        result.model.auxiliary_head.num_classes = CLASSES
    else:
        result.model.neck.out_channels = 16
        result.model.decode_head.in_channels = [16] * 4
    return result


def build(kind, patch):
    torch.manual_seed(0)
    model = init_model(config(kind, patch))
    model.init_weights()
    for module in model.modules():  # norms initially do almost nothing, so a missing one would go unnoticed
        if isinstance(module, _BatchNorm):
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.normal_(module.bias, std=0.3)
            nn.init.uniform_(module.weight, 0.5, 1.5)
    nn.init.normal_(model.decode_head.conv_seg.weight)
    return model.eval()


def build_stem():
    """Build a segmentor whose backbone has a single level and few operations."""
    model = build('sem_fpn', 16)
    arch = dict(embed_dim=16, depth=1, num_heads=2, patch_size=16)
    model.backbone = XCiT(arch, out_indices=(0, ), pyramid=False).eval()
    return model


@needs_onnx
@pytest.mark.parametrize('kind, patch, backbone_only, suffixes', [
    pytest.param('upernet', 16, False, ['.onnx', '.pt2'], marks=pytest.mark.slow),
    pytest.param('sem_fpn', 8, False, ['.onnx', '.pt2'], marks=pytest.mark.slow),
    pytest.param('upernet', 16, True, ['.pt2'], marks=pytest.mark.slow),
    ('sem_fpn', 8, True, ['.onnx'])])
def test_files_compute_the_same_as_the_model(traced_once, tmp_path, kind, patch, backbone_only, suffixes):
    model = build(kind, patch)
    for suffix in suffixes:
        check_file(model, tmp_path / suffix / f'model{suffix}', backbone_only)


def check_file(model, path, backbone_only):
    path.parent.mkdir()
    facts, comparisons = export(model, path, backbone_only, SIZE)
    assert len(comparisons) == 3 and max(row.difference for row in comparisons) < 1e-5
    function = exported_function(model, backbone_only)
    runs = [FILE_FORMATS[path.suffix].load(path)]
    if path.suffix == '.onnx':
        runs.append(load_openvino(path))
    for size in ((1, 64, 64), (3, 131, 77), (1, 96, 211)):
        image = torch.randn(size[0], 3, *size[1:])
        expected = torch.no_grad()(function)(image)
        assert [len(expected), expected[0].shape[1]] == ([4, 128] if backbone_only else [1, CLASSES])
        assert max(largest_difference(run(image), expected) for run in runs) < 1e-5
    weights = 4 * sum(parameter.numel() for parameter in function.parameters())
    assert weights < path.stat().st_size < 1.1 * weights + 2e6
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert json.loads(facts['mean']) == [123.675, 116.28, 103.53] and facts['color'] == 'RGB'
    assert facts['strides'] == ('[4, 8, 16, 32]' if backbone_only else '[1]')


class TiedToSize(nn.Module):
    """A module into which tracing bakes a constant that is right for the traced size but wrong for any other."""

    def forward(self, x):
        width = x.shape[-1]
        return x * (width.node.hint if isinstance(width, torch.SymInt) else width)


class Specialised(nn.Module):
    """A module that torch can trace only for a fixed size."""

    def forward(self, x):
        return x * int(x.shape[-1])


@pytest.mark.parametrize('module, words', [
    (TiedToSize(), r'differs from the model by \S+ of the largest value at 128 x 128 pixels and batch 1'),
    (Specialised(), r'torch cannot export this model for every size: \w+')])
def test_a_file_that_depends_on_the_traced_size_is_not_kept(tmp_path, module, words):
    model, path = build_stem(), tmp_path / 'model.pt2'
    path.write_text('earlier')
    model.backbone.fpn1 = module.eval()
    with pytest.raises(InputError, match=words) as caught:
        export(model, path, backbone_only=True, size=SIZE)
    assert '\n' not in str(caught.value)
    assert path.read_text() == 'earlier' and [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_format_can_be_registered_from_outside(tmp_path, monkeypatch):

    def write(program, path, output_names, facts):
        torch.save(dict(names=output_names, facts=facts), path)

    model, path = build_stem(), tmp_path / 'model.outside'
    monkeypatch.setitem(FILE_FORMATS, '.outside', FileFormat(write, lambda path: torch.no_grad()(model.backbone)))
    facts, comparisons = export(model, path, backbone_only=True, size=SIZE)
    assert torch.load(path) == dict(names=['level1'], facts=facts)
    assert [row.difference for row in comparisons] == [0, 0, 0]


@pytest.mark.slow
def test_the_tool_writes_a_file_and_prints_its_metadata(run_here, tmp_path, capsys):
    model, path = build('sem_fpn', 16), tmp_path / 'out/model.pt2'
    model.cfg.model.backbone.update(pyramid=False, out_indices=[0])
    model.cfg.dump(tmp_path / 'config.py')
    assert run_here('export', tmp_path / 'config.py', '--out', path, '--backbone-only', '--size', *SIZE) is None
    said = capsys.readouterr().out
    assert all(words in said for words in ('1 x 128 x 128', '2 x 64 x 77', 'mean: [123.675, 116.', f'wrote {path}'))
    facts = {'metadata.json': ''}
    torch.export.load(path.open('rb'), extra_files=facts)
    assert json.loads(facts['metadata.json'])['strides'] == '[16]'


def test_a_backbone_of_four_channels_and_three_levels_is_exported(tmp_path):
    model, path = build_stem(), tmp_path / 'model.pt2'
    arch = dict(embed_dim=16, depth=1, num_heads=2, patch_size=16)
    model.backbone = XCiT(arch, in_channels=4, out_strides=(8, 16, 32)).eval()
    model.data_preprocessor.mean = model.data_preprocessor.std = None
    facts, comparisons = export(model, path, backbone_only=True, size=SIZE)
    assert max(row.difference for row in comparisons) < 1e-5 and facts['strides'] == '[8, 16, 32]'
    assert json.loads(facts['mean']) == [0] * 4 and facts['color'] == 'unchanged'


def test_unsuitable_arguments_give_one_line(run_here, tmp_path, monkeypatch):
    arguments = 'export', 'configs/xcit_upernet_digits.py', '--out'
    said = run_here(*arguments, tmp_path / 'a.pt2', '--size', 64, 64)
    assert said == 'error: cannot compare at 64 x 64 pixels; choose sides of 128 pixels or more'
    assert run_here(*arguments, tmp_path / 'a.pth') == 'error: cannot export to a.pth: its suffix must be .onnx or .pt2'
    (tmp_path / 'file').touch()
    assert 'cannot write' in run_here(*arguments, tmp_path / 'file/a.pt2')
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)  # as if it were not installed
    said = run_here(*arguments, tmp_path / 'a.onnx')
    assert said.startswith('error: ') and "without onnxruntime; run pip install 'xcit_mm[export]'" in said
    assert [file.name for file in tmp_path.iterdir()] == ['file']


@needs_mmdet
def test_detectors_are_refused(run_here, tmp_path):
    said = run_here('export', 'configs/xcit_mask_rcnn_digits.py', '--out', tmp_path / 'a.pt2')
    assert said.startswith('error: ') and 'cannot export a MaskRCNN' in said and 'mmdeploy' in said
    assert not list(tmp_path.iterdir())


def test_models_in_training_mode_or_half_precision_are_refused():
    model = build_stem()
    for change, words in ((lambda: model.train(), 'eval'), (lambda: model.eval().half(), r'float16 on cpu; call its')):
        change()
        with pytest.raises(InputError, match=words):
            exported_function(model)


def test_other_backbones_are_refused():
    model = build_stem()
    model.backbone = nn.Identity()
    with pytest.raises(InputError, match='cannot export a model whose backbone is a Identity; use an XCiT'):
        exported_function(model, backbone_only=True)

import subprocess
import sys

import golden
import numpy as np
import pytest
import torch
from detection import needs_mmdet
from mmengine.registry import MODELS

from xcit_mm import XCiT
from xcit_mm.variants import ARCHITECTURES

TINY = dict(embed_dim=16, depth=2, num_heads=2, patch_size=8)


def relative_error(actual, expected):
    return np.linalg.norm(actual.detach().numpy() - expected) / np.linalg.norm(expected)


@pytest.mark.parametrize('attention', ['gram', 'direct'])
@pytest.mark.parametrize('stem', golden.CASES)
def test_outputs_and_gradients_match_the_authors_backbone(stem, attention):
    arch, state_dict, image, seed, expected = golden.load_case(stem)
    model = XCiT(arch, attention=attention).eval()
    model.load_state_dict(state_dict)
    with torch.no_grad():  # so the model takes its shortcuts for inference
        inferred = model(image)
    levels = model(image.requires_grad_())
    if 'loss' not in expected:
        for maps in (levels, inferred):
            errors = [relative_error(level, expected[f'level{i}']) for i, level in enumerate(maps)]
            assert len(errors) == 4 and max(errors) < 1e-5
        return
    loss = sum((level * golden.make_input(seed + 1 + i, level.shape)).mean() for i, level in enumerate(levels))
    loss.backward()
    assert abs(loss.item() - expected['loss']) < 1e-5 * abs(expected['loss'])
    assert relative_error(image.grad, expected['grad_input']) < 1e-4
    for name, parameter in model.named_parameters():
        norm = expected[f'gradnorm/{name}']
        assert abs(parameter.grad.norm().item() - norm) < 1e-4 * norm, name


@pytest.mark.parametrize('arch, millions', [
    ('nano_12_p16', 2.72), ('nano_12_p8', 2.59), ('tiny_12_p16', 6.08), ('tiny_12_p8', 5.77),
    ('small_12_p16', 24.09), ('small_12_p8', 22.87), ('tiny_24_p16', 11.48), ('tiny_24_p8', 11.17),
    ('small_24_p16', 45.51), ('small_24_p8', 44.28), ('medium_24_p16', 80.72), ('medium_24_p8', 78.55),
    ('large_24_p16', 181.23), ('large_24_p8', 176.34)])
def test_parameter_counts_match_the_paper(arch, millions):
    with torch.device('meta'):
        model = XCiT(arch)
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.006)


def test_every_architecture_is_in_the_parameter_counts():
    assert len(ARCHITECTURES) == 14


@pytest.mark.parametrize('patch_size', [8, 16])
@pytest.mark.parametrize('pyramid', [True, False])
@pytest.mark.parametrize('size', [(64, 64), (64, 96), (50, 71), (16, 16), (17, 200)])
def test_maps_have_the_declared_channels_and_strides(patch_size, pyramid, size):
    model = XCiT(TINY | dict(patch_size=patch_size), pyramid=pyramid).eval()
    levels = model(torch.randn(2, 3, *size))
    assert len(levels) == len(model.out_strides) == len(model.out_channels)
    tokens = [-(-side // patch_size) for side in size]
    for level, channels, stride in zip(levels, model.out_channels, model.out_strides):
        assert level.shape == (2, channels, *(max(side * patch_size // stride, 1) for side in tokens))
        assert level.isfinite().all()


@pytest.mark.parametrize('pyramid', [True, False])
@pytest.mark.parametrize('out_indices', [None, (0, 0, 0, 0)])
def test_every_parameter_gets_a_gradient(pyramid, out_indices):
    model = XCiT(TINY, pyramid=pyramid, out_indices=out_indices)
    sum((level * torch.randn_like(level)).sum() for level in model(torch.randn(2, 3, 64, 64))).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_memory_layout_of_the_image_does_not_matter():
    model = XCiT(TINY).eval()
    image = torch.randn(2, 3, 64, 96)
    for actual, expected in zip(model(image.to(memory_format=torch.channels_last)), model(image)):
        assert torch.equal(actual, expected)


def test_training_under_ddp_gives_no_warnings(tmp_path, recwarn):
    torch.distributed.init_process_group('gloo', init_method=f'file://{tmp_path}/store', rank=0, world_size=1)
    try:
        model = torch.nn.parallel.DistributedDataParallel(XCiT(TINY))
        for _ in range(2):  # a parameter without a gradient would make the second pass fail
            sum(level.sum() for level in model(torch.randn(2, 3, 64, 64))).backward()
    finally:
        torch.distributed.destroy_process_group()
    assert not [warning for warning in recwarn if 'strides' in str(warning.message)]


def test_training_does_not_change_frozen_stages():
    model = XCiT(TINY, frozen_stages=1).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    sum(level.square().mean() for level in model(torch.randn(2, 3, 64, 64))).backward()
    optimizer.step()
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    frozen = ('patch_embed.', 'pos_embeder.', 'blocks.0.')
    assert changed and not any(name.startswith(frozen) for name in changed)
    assert any(name.startswith('blocks.1.') for name in changed)


def test_norm_eval_preserves_running_statistics():
    model = XCiT(TINY, norm_eval=True).train()
    before = {name: value.clone() for name, value in model.named_buffers()}
    model(torch.randn(2, 3, 64, 64))
    assert before and all(torch.equal(value, before[name]) for name, value in model.named_buffers())


def test_drop_path_is_active_only_in_training():
    torch.manual_seed(0)  # with some seeds, both passes drop the same branches
    model = XCiT(TINY, drop_path_rate=0.5, norm_eval=True)
    image = torch.randn(2, 3, 64, 64)
    assert not torch.equal(model(image)[0], model(image)[0])
    model.eval()
    assert torch.equal(model(image)[0], model(image)[0])


@pytest.mark.parametrize('arguments, words', [
    (dict(arch='small_13_p16'), ['small_13_p16', 'small_12_p16']),
    (dict(arch=dict(depth=2)), ['embed_dim', 'num_heads']),
    (dict(arch=TINY | dict(num_heads=3)), ['16', '3']),
    (dict(arch=TINY | dict(patch_size=12)), ['power of two', '12']),
    (dict(arch=TINY, out_indices=(0, 1, 2, 3)), ['0 … 1']),
    (dict(arch=TINY, out_indices=(0, 1)), ['pyramid=False']),
    (dict(arch=TINY, frozen_stages=3), ['frozen_stages', '2']),
    (dict(arch=TINY, drop_path_rate=1.0), ['drop_path_rate', '1.0']),
    (dict(arch=TINY, attention='linear'), ['auto, gram, direct', 'linear']),
])
def test_error_names_the_invalid_argument(arguments, words):
    with pytest.raises(ValueError) as error:
        XCiT(**arguments)
    assert all(word in str(error.value) for word in words)


@pytest.mark.parametrize('scope', ['mmseg', 'mmdet'])
def test_scopes_of_mmseg_and_mmdet_find_the_backbone(scope):
    pytest.importorskip(f'{scope}.registry', reason=f'{scope} is not installed')
    if scope == 'mmdet':
        pytest.importorskip('mmcv._ext', reason='mmdet needs the compiled ops of mmcv')
    child = MODELS._search_child(scope)
    assert child.get('XCiT') is XCiT
    assert isinstance(child.build(dict(type='XCiT', arch=TINY)), XCiT)


def test_import_loads_neither_mmseg_nor_mmdet():
    code = 'import sys, xcit_mm; sys.exit(any(m in sys.modules for m in ("mmseg", "mmdet")))'
    assert subprocess.run([sys.executable, '-c', code]).returncode == 0


def test_maps_without_pyramid_feed_a_neck_of_mmseg():
    pytest.importorskip('mmseg', reason='mmseg is not installed')
    from mmseg.models.necks import Feature2Pyramid
    model = XCiT(TINY | dict(patch_size=16), pyramid=False).eval()
    levels = Feature2Pyramid(embed_dim=16, norm_cfg=dict(type='BN')).eval()(model(torch.randn(1, 3, 64, 96)))
    assert [level.shape[-2:] for level in levels] == [(16, 24), (8, 12), (4, 6), (2, 3)]


@pytest.mark.parametrize('arch', [TINY, TINY | dict(patch_size=16)], ids=['p8', 'p16'])
@pytest.mark.parametrize('training', [True, False])
def test_maps_are_contiguous_by_default(arch, training):
    image = torch.randn(2, 3, 64, 96)
    for channels_last in (False, True):
        model = XCiT(arch, channels_last=channels_last).train(training)
        layout = torch.channels_last if channels_last else torch.contiguous_format
        assert all(level.is_contiguous(memory_format=layout) for level in model(image))


@needs_mmdet
def test_compiled_ops_read_the_maps_correctly():
    from mmcv.ops import RoIAlign
    level = XCiT(TINY).eval()(torch.randn(1, 3, 64, 64))[0]
    align, regions = RoIAlign(7, 0.25, 0), torch.tensor([[0, 4.0, 4, 40, 60]])
    assert torch.equal(align(level, regions), align(level.clone(memory_format=torch.contiguous_format), regions))

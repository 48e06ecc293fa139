"""Hooks, adapters and custom parts have the same effect in every mode, or the mode refuses to run and names them."""
import copy

import pytest
import torch
from adapters import add_loralib
from mmcv.cnn import ConvModule
from mmseg.apis import inference_model
from modifications import MODIFICATIONS
from segmentors import build
from torch import nn

from xcit_mm.apis import inference_segmentor
from xcit_mm.errors import InputError
from xcit_mm.heads import EfficientUPerHead
from xcit_mm.layers import CrossCovarianceAttention, XCiTBlock


def largest(model):
    """Set random layer scales, so that every branch matters."""
    torch.manual_seed(1)
    for block in model.backbone.blocks:
        for gamma in (block.gamma1, block.gamma2, block.gamma3):
            gamma.data.uniform_(0.5, 1.5)
    return model


@pytest.mark.parametrize('size', [128, 512])
@pytest.mark.parametrize('name', MODIFICATIONS)
def test_modified_models(name, size):
    image = torch.randint(0, 256, (size, size, 3), dtype=torch.uint8).numpy()
    plain = largest(build())
    for block in plain.backbone.blocks:
        block.attn.form = 'direct'
    model = copy.deepcopy(plain)
    for block in model.backbone.blocks:
        block.attn.form = 'auto'
    for each in (plain, model):
        torch.manual_seed(2)
        MODIFICATIONS[name](each)
        each.eval()
    expected = inference_segmentor(plain, image, 'whole', return_logits=True).seg_logits.data
    for mode in ('whole', 'auto'):
        sample = inference_segmentor(model, image, mode, return_logits=True)
        assert (sample.seg_logits.data - expected).abs().max() < 1e-5 * expected.abs().max(), mode
    assert sample.mode.startswith('whole (') and 'cannot run' in sample.mode
    with pytest.raises(InputError, match='cannot run .*in bands of rows'):
        inference_segmentor(model, image, 'banded')


@pytest.mark.parametrize('kind, name', [
    (XCiTBlock, 'forward'), (nn.Linear, 'forward'), (EfficientUPerHead, '_forward_feature')])
def test_methods_replaced_in_a_class_take_effect(monkeypatch, kind, name):
    model, image = largest(build()), torch.randint(0, 256, (96, 96, 3), dtype=torch.uint8).numpy()
    plain = inference_segmentor(model, image, 'whole', return_logits=True).seg_logits.data
    method = getattr(kind, name)
    monkeypatch.setattr(kind, name, lambda self, *args: method(self, *args) / 2)
    sample = inference_segmentor(model, image, return_logits=True)
    assert sample.mode.startswith('whole') and f'has a patched {name} method' in sample.mode
    assert (sample.seg_logits.data - plain).abs().max() > 1e-4 * plain.abs().max()
    with pytest.raises(InputError, match=f'has a patched {name} method'):
        inference_segmentor(model, image, 'banded')


def test_global_hooks_keep_the_modules_running():
    model, image = build(), torch.zeros(96, 96, 3, dtype=torch.uint8).numpy()
    seen = set()
    handle = nn.modules.module.register_module_forward_hook(lambda module, args, output: seen.add(id(module)))
    try:
        inference_segmentor(model, image)
    finally:
        handle.remove()
    called = [name for name, module in model.backbone.named_modules()
              if isinstance(module, (nn.Linear, nn.Conv2d)) and id(module) not in seen]
    assert called == []


def test_hooks_on_the_model_are_left_to_mmseg():
    model, image = build(), torch.zeros(64, 64, 3, dtype=torch.uint8).numpy()
    seen = []
    model.register_forward_hook(lambda *_: seen.append(1))
    assert inference_segmentor(model, image).mode == 'delegated' and seen
    inference_model(model, image)
    assert len(seen) == 2


def test_overridden_methods_are_found_on_instances():
    model, image = build(), torch.zeros(64, 64, 3, dtype=torch.uint8).numpy()
    model.extract_feat = lambda x: [level / 2 for level in type(model).extract_feat(model, x)]
    assert inference_segmentor(model, image).mode == 'delegated'


def test_the_gram_form_refuses_adapters():
    attention = CrossCovarianceAttention(8, 2, 'gram')
    add_loralib(attention, 'qkv')
    with pytest.raises(InputError, match='the Gram form of attention needs qkv and proj to be plain'):
        attention(torch.randn(1, 5, 8))


@pytest.mark.parametrize('mode', ['whole', 'banded', 'slide'])
@pytest.mark.parametrize('precision', ['bfloat16', 'autocast'])
def test_half_precision_in_every_mode(mode, precision):
    image = torch.randint(0, 256, (200, 168, 3), dtype=torch.uint8).numpy()
    model = largest(build(crop_size=(128, 128), stride=(96, 96)))
    expected = inference_segmentor(model, image, mode, return_logits=True).seg_logits.data
    if precision == 'bfloat16':
        model.bfloat16()
    with torch.autocast('cpu', torch.bfloat16, enabled=precision == 'autocast'):
        sample = inference_segmentor(model, image, mode, return_logits=True)
    assert sample.mode == mode and sample.seg_logits.data.dtype == torch.float32
    assert 1e-6 < (sample.seg_logits.data - expected).norm() / expected.norm() < 0.1


def test_results_are_float32_whatever_the_default_dtype():
    model, image = build(), torch.zeros(64, 64, 3, dtype=torch.uint8).numpy()
    torch.set_default_dtype(torch.float64)
    try:
        sample = inference_segmentor(model, image, return_logits=True, return_probability_of=0)
    finally:
        torch.set_default_dtype(torch.float32)
    assert sample.seg_logits.data.dtype == sample.seg_probabilities.data.dtype == torch.float32


def test_an_activation_that_depends_on_the_layout_is_refused():
    model = build()
    conv = next(module for module in model.decode_head.modules() if isinstance(module, ConvModule))
    conv.activate = nn.PReLU(64).eval()
    with pytest.raises(InputError, match='is a PReLU'):
        inference_segmentor(model, torch.zeros(64, 64, 3, dtype=torch.uint8).numpy(), 'banded')

"""Hooks, adapters and custom parts have the same effect in every mode, or the mode refuses to run and names them."""
import copy

import loralib
import peft
import pytest
import torch
from adapters import add_loralib, add_peft
from mmcv.cnn import ConvModule
from mmseg.apis import inference_model
from segmentors import build
from torch import nn
from torch.nn.utils import parametrize, prune, spectral_norm

from xcit_mm.apis import inference_segmentor
from xcit_mm.errors import InputError
from xcit_mm.layers import CrossCovarianceAttention, XCiTBlock


class HalfBlock(XCiTBlock):
    """A third-party block."""

    def forward(self, *args):
        return super().forward(*args) / 2


class HalfAttention(CrossCovarianceAttention):
    """A third-party attention layer that keeps the inherited ``add_to``."""

    def forward(self, x, moments=None):
        return super().forward(x, moments) / 2


class Twice(nn.Module):
    def forward(self, weight):
        return 2 * weight


class Wrapped(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x) + 1


def halve(module, args, output):
    return output / 2


def wrap(parent, name):
    setattr(parent, name, Wrapped(getattr(parent, name)).eval())


def patch(block):
    forward = block.forward
    block.forward = lambda *args: forward(*args) / 2


MODIFICATIONS = {
    'hook on a block': lambda model: model.backbone.blocks[1].register_forward_hook(halve),
    'hook on attention': lambda model: model.backbone.blocks[1].attn.register_forward_hook(halve),
    'hook on qkv': lambda model: model.backbone.blocks[1].attn.qkv.register_forward_hook(halve),
    'hook before the MLP': lambda model: model.backbone.blocks[1].mlp.register_forward_pre_hook(
        lambda module, args: (args[0] / 2, )),
    'hook in the stem': lambda model: model.backbone.patch_embed.proj[0][0].register_forward_hook(halve),
    'hook on the position': lambda model: model.backbone.pos_embeder.token_projection.register_forward_hook(halve),
    'hook on a convolution of the head': lambda model: model.decode_head.fpn_bottleneck.register_forward_hook(halve),
    'hook on pooling': lambda model: model.decode_head.psp_modules[1][0].register_forward_hook(halve),
    'block of another type': lambda model: setattr(model.backbone.blocks[1], '__class__', HalfBlock),
    'attention of another type': lambda model: setattr(model.backbone.blocks[1].attn, '__class__', HalfAttention),
    'loralib on qkv': lambda model: add_loralib(model.backbone.blocks[1].attn, 'qkv'),
    'loralib on q and v': lambda model: add_loralib(
        model.backbone.blocks[1].attn, 'qkv', loralib.MergedLinear, enable_lora=[True, False, True]),
    'loralib on proj': lambda model: add_loralib(model.backbone.blocks[1].attn, 'proj'),
    'peft, LoRA': lambda model: add_peft(model, init_lora_weights=False),  # random weights, as if trained
    'peft, DoRA': lambda model: add_peft(model, init_lora_weights=False, use_dora=True),
    'peft, LoHa': lambda model: add_peft(model, peft.LoHaConfig, init_weights=False),
    'peft around the backbone': lambda model: setattr(model, 'backbone', peft.get_peft_model(
        model.backbone, peft.LoraConfig(target_modules=r'.*attn\.qkv', init_lora_weights=False))),
    'parametrisation': lambda model: parametrize.register_parametrization(
        model.backbone.blocks[1].attn.qkv, 'weight', Twice()),
    'pruning': lambda model: prune.l1_unstructured(model.backbone.blocks[1].attn.proj, 'weight', 0.5),
    'spectral norm': lambda model: spectral_norm(model.backbone.blocks[1].attn.qkv),
    'wrapped classifier': lambda model: wrap(model.decode_head, 'conv_seg'),
    'patched forward': lambda model: patch(model.backbone.blocks[1]),
    'quantised layers': lambda model: torch.ao.quantization.quantize_dynamic(model, {nn.Linear}, inplace=True),
}


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

"""Changes to a segmentor that hooks, adapters and custom parts make, each by a function of the model."""
import loralib
import peft
from adapters import add_loralib, add_peft
from torch import nn
from torch.ao.quantization import quantize_dynamic
from torch.nn.utils import parametrize, prune, spectral_norm

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


def replace_method(module, name):
    method = getattr(module, name)
    setattr(module, name, lambda *args: method(*args) / 2)


def replace_convolution(parent, name, kernel, **options):
    old = getattr(parent, name)
    setattr(parent, name, nn.Conv2d(old.in_channels, old.out_channels, kernel, groups=old.groups, **options))


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
    'replaced methods of the head': lambda model: replace_method(model.decode_head, 'cls_seg'),
    'replaced features of the head': lambda model: replace_method(model.decode_head, '_forward_feature'),
    'dilated LPI': lambda model: replace_convolution(model.backbone.blocks[1].local_mp, 'conv1', 3, padding=2,
                                                     dilation=2),
    'larger LPI': lambda model: replace_convolution(model.backbone.blocks[1].local_mp, 'conv1', 5, padding=2),
    'larger stem': lambda model: replace_convolution(model.backbone.patch_embed.proj[0], '0', 7, padding=3, stride=2),
    'reflected stem': lambda model: replace_convolution(model.backbone.patch_embed.proj[0], '0', 3, padding=1,
                                                        stride=2, padding_mode='reflect'),
    'more layers in the stem': lambda model: model.backbone.patch_embed.proj.append(nn.BatchNorm2d(96)),
    'fused stem': lambda model: setattr(model.backbone.patch_embed.proj[0], '1', nn.Identity()),
    'no bias': lambda model: setattr(model.backbone.blocks[1].attn, 'qkv', nn.Linear(96, 288, bias=False)),
    'no MLP': lambda model: setattr(model.backbone.blocks[1], 'mlp', nn.Identity()),
    'another layer in place of dropout': lambda model: setattr(model.decode_head, 'dropout', nn.ReLU()),
    'quantised layers': lambda model: quantize_dynamic(model, {nn.Linear}, inplace=True),
}

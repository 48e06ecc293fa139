"""The alternatives to our backbone: other implementations of XCiT, and other backbones, if installed."""
from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor, nn

from xcit_mm.variants import Variant, get_variant


def build_peers(arch: str) -> dict[str, nn.Module]:
    """Build those peers of the XCiT ``arch`` that can be imported, with random weights.

    The XCiT peers run the same blocks and return the same taps, but have no pyramid. Like ours, they have no class
    attention. Swin-T, ConvNeXt-T and SegFormer-B2 return maps at strides 4 to 32.
    """
    variant = get_variant(arch)
    builders: dict[str, Callable[[], nn.Module]] = {
        'timm XCiT trunk': partial(_timm_xcit, arch, variant),
        'mmpretrain XCiT trunk': partial(_mmpretrain_xcit, variant),
        'mmseg Swin-T': _mmseg_swin,
        'mmpretrain ConvNeXt-T': _mmpretrain_convnext,
        'mmseg SegFormer-B2': _mmseg_segformer,
    }
    peers = {}
    for name, build in builders.items():
        try:
            peers[name] = build()
        except (ImportError, RuntimeError) as error:  # RuntimeError: torchvision was built for a different torch
            print(f'leaving out {name}: {error}')
    return peers


class _TimmTrunk(nn.Module):
    def __init__(self, model: Any, out_indices: tuple[int, ...]) -> None:
        super().__init__()
        model.cls_attn_blocks = model.norm = None
        self.model, self.out_indices = model, out_indices

    def forward(self, image: Tensor) -> list[Tensor]:
        return self.model.forward_intermediates(
            image, indices=list(self.out_indices), output_fmt='NLC', intermediates_only=True)


def _timm_xcit(arch: str, variant: Variant) -> nn.Module:
    import timm
    return _TimmTrunk(timm.create_model(f'xcit_{arch}_224'), variant.out_indices)


def _mmpretrain_xcit(variant: Variant) -> nn.Module:
    from mmpretrain.models.backbones import XCiT
    return XCiT(patch_size=variant.patch_size, embed_dims=variant.embed_dim, depth=variant.depth,
                num_heads=variant.num_heads, qkv_bias=True, cls_attn_layers=0, final_norm=False,
                layer_scale_init_value=variant.layer_scale_init, out_indices=variant.out_indices, out_type='featmap')


def _mmseg_swin() -> nn.Module:
    from mmseg.models.backbones import SwinTransformer
    return SwinTransformer(drop_path_rate=0.0)  # the other defaults are those of Swin-T


def _mmpretrain_convnext() -> nn.Module:
    from mmpretrain.models.backbones import ConvNeXt
    return ConvNeXt(arch='tiny', out_indices=(0, 1, 2, 3), gap_before_final_norm=False)


def _mmseg_segformer() -> nn.Module:
    from mmseg.models.backbones import MixVisionTransformer
    # As in mmseg's configs of SegFormer-B2
    return MixVisionTransformer(embed_dims=64, num_layers=[3, 4, 6, 3], num_heads=[1, 2, 5, 8])

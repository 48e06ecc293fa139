"""Check that a backbone computes the same function when it runs in bands of rows."""
from __future__ import annotations

from mmcv.cnn.bricks import DropPath
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from ...backbone import XCiT
from ...errors import InputError
from ...layers import (
    CrossCovarianceAttention,
    LocalPatchInteraction,
    PatchEmbedding,
    PositionalEncoding,
    XCiTBlock,
)
from ...layers.block import MLP
from ...layers.feature_pyramid import MaxPool, Upsample2x, Upsampling
from ...layers.patch_embedding import ConvNorm
from ...ops.folding import is_foldable
from ...ops.modification import find_modification

# The types that make up an XCiT; a module of any other type could compute anything.
PARTS = (XCiT, PatchEmbedding, ConvNorm, PositionalEncoding, XCiTBlock, CrossCovarianceAttention, LocalPatchInteraction,
         MLP, MaxPool, Upsample2x, Upsampling, DropPath, nn.ModuleList, nn.Sequential, nn.Identity, nn.Linear,
         nn.Conv2d, nn.LayerNorm, nn.GELU, nn.Dropout, nn.BatchNorm2d, nn.SyncBatchNorm)


def check_backbone(backbone: nn.Module) -> None:
    """Raise ``InputError`` unless a backbone can run in bands of rows."""
    if type(backbone) is not XCiT:
        raise InputError(f'the backbone {type(backbone).__name__} cannot run in bands of rows; use mode whole')
    if modification := find_modification(backbone, PARTS):
        raise InputError(f'cannot run the backbone in bands of rows: {modification}; use mode whole')
    for name, module in backbone.named_modules():
        if isinstance(module, _NormBase) and not is_foldable(module):
            raise InputError(f'cannot run the backbone in bands of rows: {name} has no running statistics; use mode '
                             'whole')

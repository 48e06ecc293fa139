"""Check that a backbone computes the same function when it runs in bands of rows."""
from __future__ import annotations

import re

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

NORMS = (nn.BatchNorm2d, nn.SyncBatchNorm)
# The types of an XCiT's parts by name; a module of any other type could compute anything.
PARTS = {
    '': (XCiT, ),
    r'patch_embed': (PatchEmbedding, ), r'patch_embed\.proj': (nn.Sequential, ),
    r'patch_embed\.proj\.\d*[02468]': (ConvNorm, ), r'patch_embed\.proj\.\d*[13579]': (nn.GELU, ),
    r'patch_embed\.proj\.\d+\.0': (nn.Conv2d, ), r'patch_embed\.proj\.\d+\.1': NORMS,
    r'pos_embeder': (PositionalEncoding, ), r'pos_embeder\.token_projection': (nn.Conv2d, ),
    r'blocks': (nn.ModuleList, ), r'blocks\.\d+': (XCiTBlock, ), r'.*\.norm[123]': (nn.LayerNorm, ),
    r'.*\.attn': (CrossCovarianceAttention, ), r'.*\.attn_drop': (nn.Dropout, ),
    r'.*\.drop_path': (DropPath, nn.Identity),
    r'.*\.(qkv|proj|fc1|fc2)': (nn.Linear, ), r'.*\.mlp': (MLP, ), r'.*\.act': (nn.GELU, ),
    r'.*\.local_mp': (LocalPatchInteraction, ), r'.*\.local_mp\.conv[12]': (nn.Conv2d, ), r'.*\.local_mp\.bn': NORMS,
    r'fpn\d': (Upsampling, MaxPool, nn.Identity), r'fpn\d\.\d+': (Upsample2x, nn.GELU, *NORMS)}
CONVOLUTIONS = {r'patch_embed\..*': 2, r'.*\.local_mp\..*': 1}  # names -> stride


def check_backbone(backbone: nn.Module) -> None:
    """Raise ``InputError`` unless a backbone can run in bands of rows."""
    if type(backbone) is not XCiT:
        raise InputError(f'the backbone {type(backbone).__name__} cannot run in bands of rows; use mode whole')
    if modification := find_modification(backbone, PARTS):
        raise InputError(f'cannot run the backbone in bands of rows: {modification}; use mode whole')
    for name, module in backbone.named_modules():
        reason = ''
        if isinstance(module, _NormBase) and not is_foldable(module):
            reason = 'has no running statistics'
        elif isinstance(module, nn.Conv2d) and not _is_supported(name, module):
            reason = 'is not a 3x3 convolution with zero padding'
        elif isinstance(module, nn.Linear) and 'bias' not in dict(module.named_parameters()):
            reason = 'has no bias'
        if reason:
            raise InputError(f'cannot run the backbone in bands of rows: {name} {reason}; use mode whole')


def _is_supported(name: str, module: nn.Conv2d) -> bool:
    stride = next((stride for pattern, stride in CONVOLUTIONS.items() if re.fullmatch(pattern, name)), None)
    return stride is None or (module.kernel_size == (3, 3) and module.padding == module.dilation == (1, 1)
                              and module.stride == (stride, stride) and module.padding_mode == 'zeros')

"""What inference will hold, from the sizes of the model and of the image; a test compares it with what is held."""
from __future__ import annotations

import math

from mmseg.models import BaseSegmentor
from mmseg.models.decode_heads import FPNHead

from ...backbone import XCiT
from ...heads import EfficientUPerHead
from ..bands.backbone import BAND_TOKENS
from .logits import BAND_BYTES, LOGIT_ROWS

FLOAT = 4  # bytes
STRIDE = 4  # of the finest map
# Maps of the head's width at the finest stride that are there at once: counted, by measurement. mmseg's UPerHead
# holds four resized levels, and their concatenation; other heads than these are taken for it.
WHOLE_MAPS = {EfficientUPerHead: 8.0, FPNHead: 5.0}
MOST_MAPS = 11.5
BAND_MAPS = 6.5  # the same of LOGIT_ROWS rows
LOGIT_BANDS = 3.0  # of logits at the size of the image: before and after the resizing, and its first half


def estimate_bytes(model: BaseSegmentor, height: int, width: int, mode: str) -> int:
    """Bytes of tensors that a mode holds at its peak, on top of the model and the image.

    Args:
        model: an ``EncoderDecoder``.
        height, width: of the network's input, px.
        mode: ``'whole'``, ``'banded'`` or ``'slide'``.
    """
    head = model.decode_head
    band = min(BAND_BYTES, FLOAT * height * width * head.out_channels)
    if mode == 'banded':
        rows = FLOAT * LOGIT_ROWS * (width / STRIDE) * (BAND_MAPS * _head_width(model) + head.out_channels)
        # Folding a batch norm copies the convolution's weights, of which Winograd's points are 16/9.
        folded = 16 / 9 * FLOAT * sum(parameter.numel() for parameter in head.parameters())
        return int(LOGIT_BANDS * band + rows + folded + _backbone_bytes(model.backbone, height, width))
    windows, held = 1, 0
    if mode == 'slide':
        (high, wide), (down, right) = model.test_cfg.crop_size, model.test_cfg.stride
        windows = math.ceil(max(width - wide, 0) / right + 1) * math.ceil(high / down + 1)  # the last row is shifted up
        held = LOGIT_BANDS * band if height > high else 0  # while the second row of windows runs
        height, width = min(high, height), min(wide, width)
    pixels = math.ceil(height / STRIDE) * math.ceil(width / STRIDE)
    logits = FLOAT * windows * pixels * head.out_channels
    maps = FLOAT * WHOLE_MAPS.get(type(head), MOST_MAPS) * _head_width(model) * pixels
    backbone = _backbone_bytes(model.backbone, height, width) if isinstance(model.backbone, XCiT) else 0
    return int(logits + max(backbone + maps + held, LOGIT_BANDS * band))


def _head_width(model: BaseSegmentor) -> int:
    return max(model.decode_head.channels, getattr(model.neck, 'out_channels', 0) if model.with_neck else 0)


def _backbone_bytes(backbone: XCiT, height: int, width: int) -> float:
    """Tokens, their copies at the taps or what pooling leaves of them, and a band of the hidden layer."""
    patch, channels = backbone.variant.patch_size, backbone.variant.embed_dim
    tokens = math.ceil(height / patch) * math.ceil(width / patch)
    copies = 1 + sum(min(patch / stride, 1.0)**2 for stride in backbone.out_strides)
    return FLOAT * channels * (tokens * copies + 2 * 4 * BAND_TOKENS)

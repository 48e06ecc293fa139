"""Estimate peak memory from the sizes of a model and an image. A test compares these estimates with measurements."""
from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import nn

from ...backbone import XCiT
from ...errors import InputError
from ...layers.block import MLP_RATIO
from ...ops import winograd
from .. import scene as scenes
from ..labels import num_logits
from ..memory import available_bytes, format_bytes
from ..scene import Scene
from .probe import bytes_per_pixel

if TYPE_CHECKING:
    from mmseg.models import BaseSegmentor

FLOAT = 4  # bytes
STRIDE = 4  # image pixels per pixel of the finest map of a backbone without ``out_strides``
# How many pixels at the finest stride the head computes at once, and the smallest number of rows. With fewer, matrix
# products are small and slow; with more, they take more memory.
LOGIT_PIXELS, LEAST_LOGIT_ROWS = 8192, 4
LOGIT_BUFFERS = 3.0  # bands of logits in memory: before and after resizing, and with only the columns resized


@dataclass(frozen=True)
class Budget:
    """The memory that one inference run may use.

    Attributes:
        device: where the network runs.
        max_memory: bytes that the process (on a GPU, its tensors) may hold in total; None for all free memory.
        result_bytes: size of the results, which are kept in main memory.
    """
    device: torch.device
    max_memory: int | None = None
    result_bytes: int = 0
    free: float = field(init=False)

    def __post_init__(self) -> None:
        free = available_bytes(self.device, self.max_memory)
        object.__setattr__(self, 'free', free - self.result_bytes * (self.device.type == 'cpu'))

    def suffices(self, needed: float) -> bool:
        """Return whether ``needed`` bytes of tensors fit alongside the results."""
        return needed <= self.free

    def require(self, mode: str, needed: float, scene: Scene) -> None:
        """Raise ``InputError`` unless ``needed`` bytes fit."""
        if self.suffices(needed):
            return
        limit = '' if self.max_memory is None else f' of the limit of {format_bytes(self.max_memory)}'
        results = f' plus {format_bytes(self.result_bytes)} for the results' if self.result_bytes else ''
        free = format_bytes(self.free + self.result_bytes)
        remedy = 'raise the limit' if limit else 'free memory'
        other = '' if mode.startswith(('banded', 'slide')) else ' or mode banded'
        raise InputError(
            f'not enough memory to segment {scene.pixels.width} x {scene.pixels.height} pixels in mode {mode}: it '
            f'needs about {format_bytes(needed)}{results}, but only {free}{limit} are free; {remedy}, or use a smaller '
            f'image{other}')


def banded_bytes(model: BaseSegmentor, height: int, width: int, uses_files: bool) -> int:
    """Estimate a model's peak memory when run in bands of rows; see ``Mode.estimate_bytes``.

    Args:
        uses_files: whether there is a folder for temporary files.
    """
    from ..bands import banded

    head, classes = model.decode_head, num_logits(model)
    maps = banded(head).band_maps * _head_width(model)
    stride = _finest_stride(model.backbone)
    columns = math.ceil(width / stride)
    rows = FLOAT * min(logit_rows(columns), math.ceil(height / stride)) * columns * (maps + classes)
    # Folding a batch norm copies the convolution's weights; Winograd-transformed weights take 16/9 as much memory.
    folded = 16 / 9 * FLOAT * sum(parameter.numel() for parameter in head.parameters())
    band, transforms = logit_band_bytes(model, height, width), winograd.buffer_bytes(_head_width(model), columns)
    return int(LOGIT_BUFFERS * band + rows + folded + transforms
               + _backbone_bytes(model.backbone, height, width, True, uses_files))


def whole_bytes(model: BaseSegmentor, height: int, width: int, windows: int = 1, held: float = 0.0,
                band: float | None = None) -> int:
    """Estimate the peak memory of plain forward passes.

    Args:
        model: a standard segmentor.
        height, width: of one window, px.
        windows: number of windows whose logits are kept at the finest stride.
        held: other bytes that are in memory at the same time.
        band: bytes of a band of logits at the size of the image. Default: for an image the size of one window.
    """
    from ..bands import whole_maps

    band = logit_band_bytes(model, height, width) if band is None else band
    stride = _finest_stride(model.backbone)
    pixels = math.ceil(height / stride) * math.ceil(width / stride)
    logits = FLOAT * windows * pixels * num_logits(model)
    maps = FLOAT * whole_maps(model.decode_head) * _head_width(model) * pixels
    return int(logits + max(_backbone_bytes(model.backbone, height, width) + maps + held, LOGIT_BUFFERS * band))


def logit_rows(width: int) -> int:
    """Return how many rows of logits, each of ``width`` pixels, a head in bands computes at once."""
    return max(LOGIT_PIXELS // width // 2 * 2, LEAST_LOGIT_ROWS)  # Winograd's algorithm needs two rows


def logit_band_bytes(model: BaseSegmentor, height: int, width: int) -> float:
    """Return the size of a band of logits for an image of ``height`` x ``width`` pixels."""
    return min(scenes.BAND_BYTES, FLOAT * height * width * num_logits(model))


def _head_width(model: BaseSegmentor) -> int:
    return max(model.decode_head.channels, getattr(model.neck, 'out_channels', 0) if model.with_neck else 0)


def _finest_stride(backbone: nn.Module) -> int:
    return min(backbone.out_strides) if isinstance(backbone, XCiT) else STRIDE


def _backbone_bytes(backbone: nn.Module, height: int, width: int, in_bands: bool = False,
                    uses_files: bool = False) -> float:
    """Return the number of bytes taken up by the tokens, their copies or pooled maps at the taps, and the hidden layer.

    In bands of rows or on a CPU, only part of the hidden layer is in memory at once. If the backbone is not an XCiT,
    measure it instead.
    """
    from ..bands.backbone import BAND_TOKENS, goes_to_file

    if not isinstance(backbone, XCiT):
        return bytes_per_pixel(backbone) * height * width
    patch, channels = backbone.variant.patch_size, backbone.variant.embed_dim
    tokens = math.ceil(height / patch) * math.ceil(width / patch)
    device = next(backbone.parameters()).device
    in_files = uses_files and goes_to_file(FLOAT * channels * tokens, device)
    copies = 1 + sum(0.0 if in_files and stride <= patch else min(patch / stride, 1.0)**2
                     for stride in backbone.out_strides)
    is_chunked = in_bands or device.type == 'cpu'
    hidden = MLP_RATIO * (min(BAND_TOKENS, tokens) if is_chunked else tokens)
    return FLOAT * channels * (tokens * copies + 2 * hidden)  # the hidden layer, and its activation or other maps

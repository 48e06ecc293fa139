"""XCiT over bands of rows: one N x C map in memory and one more for each tap, whatever the image's size.

Everything in an XCiT is local (its stem, layer norms, LPI and MLP) but one C x C sum in each layer: see
``second_moment``, which adds up over bands. A layer is one sweep over the rows: apply its attention, whose map is
known by then, LPI with two rows ahead, MLP, and the sum that the next layer begins with.
"""
from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from ...backbone import XCiT
from ...errors import InputError
from ...layers import XCiTBlock
from ...layers.patch_embedding import ConvNorm
from ...ops.folding import fold_batch_norm, is_foldable
from ...ops.second_moment import second_moment
from .rows import Convolution, Pointwise, Rows, Stored

BAND_TOKENS = 4096  # tokens of a band, or one row where it is longer
Progress = Callable[[float], None]


def check(backbone: nn.Module) -> None:
    """Raise ``InputError`` unless there are bands of rows for a backbone."""
    if type(backbone) is not XCiT:
        raise InputError(f'no bands of rows for the backbone {type(backbone).__name__}: take mode whole')
    for module in backbone.modules():
        if isinstance(module, (_NormBase, nn.GroupNorm)) and not is_foldable(module):
            raise InputError(f'no bands of rows for the {type(module).__name__} of the backbone: take mode whole')


def compute_levels(backbone: XCiT, image: Rows, progress: Progress) -> list[Rows]:
    """The maps that ``backbone(image)`` returns, as rows that are resampled when they are read.

    Args:
        backbone: in eval mode.
        image: normalised, RGB.
        progress: called with the share that is done, 0 … 1.
    """
    tokens = _embed(backbone, image)  # (height, width, C)
    blocks = cast(list[XCiTBlock], list(backbone.blocks))
    levels: dict[int, Rows] = {}
    moment = _moment(blocks[0], tokens)
    for index, block in enumerate(blocks):
        following = blocks[index + 1] if index + 1 < len(blocks) else None
        moment = _run_block(block, tokens, moment, following)
        for level, tap in enumerate(backbone.out_indices):
            if tap == index:
                levels[level] = _keep(backbone, level, tokens, is_last=following is None)
        progress((index + 1) / len(blocks))
    return [levels[level] for level in range(len(levels))]


def _keep(backbone: XCiT, level: int, tokens: Tensor, is_last: bool) -> Rows:
    """A level of the pyramid over tokens that the next blocks will change."""
    factor = backbone.out_strides[level] / backbone.variant.patch_size
    resampler = backbone.get_submodule(f'fpn{level + 1}')
    if factor > 1:  # fewer pixels: they are what is kept
        pooled = Resampled(Stored(tokens), resampler, factor)
        return Stored(pooled.reader().read(0, pooled.height).clone())
    return Resampled(Stored(tokens if is_last else tokens.clone()), resampler, factor)


class Resampled(Rows):
    """What a resampler of the pyramid makes of a map.

    Args:
        source: the map.
        module: from ``build_resampler``.
        factor: pixels of the source per pixel of the result, a power of two.
    """

    def __init__(self, source: Rows, module: nn.Module, factor: float) -> None:
        if factor > 1:
            # A pooling window is no larger than the map; see MaxPool.
            self.step: float = min(int(factor), source.height)
            size = [max(side // int(factor), 1) for side in (source.height, source.width)]
        else:
            self.step = factor
            size = [int(side / factor) for side in (source.height, source.width)]
        super().__init__(*size)
        self.source, self.module = source.reader(), module

    def compute(self, start: int, stop: int) -> Tensor:
        first = int(start * self.step)
        last = -int(-stop * self.step // 1)
        x = self.source.read(first, last)
        y = self.module(x.permute(2, 0, 1)[None])[0].permute(1, 2, 0)
        ahead = start - int(first / self.step)  # rows before the wanted ones, which share a row of the source
        return y[ahead:ahead + stop - start]


def _embed(backbone: XCiT, image: Rows) -> Tensor:
    """Stem and positional encoding: (height, width, C)."""
    rows = image
    for module in backbone.patch_embed.proj:
        if isinstance(module, ConvNorm):
            rows = _stem_stage(rows, module)
        else:
            rows = Pointwise(rows, module)
    reader, encoding = rows.reader(), backbone.pos_embeder(rows.height, rows.width)
    encoding = encoding.unflatten(0, (rows.height, rows.width))
    for start, stop in _bands(rows):
        encoding[start:stop] += reader.read(start, stop)
    return encoding


def _run_block(block: XCiTBlock, tokens: Tensor, moment: Tensor, following: XCiTBlock | None) -> Tensor:
    """Run a block in place, and sum up what the attention of the following one needs: zeros if there is none."""
    weight, bias = (part[0].to(tokens.dtype) for part in block.attn.affine_map(moment[None]))
    weight, bias = weight * block.gamma1, bias * block.gamma1
    attended = _Attended(tokens, block.norm1, weight, bias)
    lpi = block.local_mp
    normed = Pointwise(attended, block.norm3)
    inner = Convolution(normed, lpi.conv1.weight, lpi.conv1.bias, lambda y: _per_pixel(lpi.bn, lpi.act(y)),
                        groups=lpi.conv1.groups)
    outer = Convolution(inner, lpi.conv2.weight, lpi.conv2.bias, lambda y: y * block.gamma3,
                        groups=lpi.conv2.groups).reader()
    total = torch.zeros_like(moment)
    for start, stop in _bands(attended):
        local = outer.read(start, stop)  # which lets attention run two rows ahead, in place
        x = tokens[start:stop]
        x += local
        block.add_mlp_(x)
        if following:
            total += second_moment(following.norm1(x).flatten(0, 1)[None])[0]
    return total


class _Attended(Rows):
    """Tokens to which ``norm(tokens) @ weight + bias`` is added in place, as they are read."""

    def __init__(self, tokens: Tensor, norm: nn.Module, weight: Tensor, bias: Tensor) -> None:
        super().__init__(*tokens.shape[:2])
        self.tokens, self.norm, self.weight, self.bias = tokens, norm, weight, bias

    def compute(self, start: int, stop: int) -> Tensor:
        x = self.tokens[start:stop]
        normed = self.norm(x).flatten(0, 1)  # before x changes
        x.flatten(0, 1).add_(self.bias).addmm_(normed, self.weight)
        return x


def _moment(block: XCiTBlock, tokens: Tensor) -> Tensor:
    parts = (second_moment(block.norm1(tokens[start:stop]).flatten(0, 1)[None])[0].double()
             for start, stop in _bands(Stored(tokens)))
    return reduce(torch.add, parts)


def _bands(rows: Rows) -> list[tuple[int, int]]:
    step = max(BAND_TOKENS // rows.width, 1)
    return [(start, min(start + step, rows.height)) for start in range(0, rows.height, step)]


def _stem_stage(source: Rows, module: ConvNorm) -> Rows:
    conv, norm = module
    assert isinstance(conv, nn.Conv2d)
    folded = fold_batch_norm(conv, norm)
    assert folded  # see check
    return Convolution(source, *folded, stride=2)


def _per_pixel(norm: nn.Module, x: Tensor) -> Tensor:
    """A batch norm of (rows, W, C)."""
    return norm(x.permute(2, 0, 1)[None])[0].permute(1, 2, 0)

"""Run XCiT in bands of rows, using memory for one N x C map plus one more per tap, unless a file holds it.

Everything in an XCiT (stem, layer norms, LPI and MLP) is local except for one sum over the tokens in each block, and
that sum can be accumulated band by band (see ``xcit_mm.statistics``). Each block sweeps over the rows once: it applies
its attention, whose map is already known, then LPI, two rows behind, and the MLP, and adds the result to the next
block's sums.
"""
from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from ...backbone import XCiT
from ...layers import XCiTBlock
from ...layers.cross_covariance_attention import blend
from ...layers.patch_embedding import ConvNorm
from ...ops.folding import fold_batch_norm
from ...ops.layouts import to_batch, to_rows
from ...ops.precision import is_half_precision
from ...ops.products import add_affine_
from ...ops.row_operations import Convolution, Pointwise
from ...ops.rows import Rows, Stored, bands
from ...statistics import Moments, Statistics
from .map_file import MapFile

BAND_TOKENS = 4096  # tokens per band, but at least one row
# The same in the stem, whose maps are larger. Memory for a map of more than 32 MB comes fresh from the system, which
# takes longer than the arithmetic.
STEM_TOKENS = 1024
FILE_BYTES = 64 << 20  # smaller maps stay in memory
Progress = Callable[[float], None]


def compute_levels(backbone: XCiT, image: Rows, statistics: Statistics, progress: Progress,
                   scratch: Path | None = None) -> list[Rows]:
    """Return the maps of ``backbone(image, statistics)`` as rows that are resampled when read.

    Args:
        backbone: in eval mode.
        image: normalised, with as many channels as the backbone takes.
        statistics: empty sums for this image.
        progress: called with the fraction of the work done, from 0 to 1.
        scratch: folder for temporary files with the largest maps; None to keep them in memory.
    """
    tokens = _embed(backbone, image)  # (height, width, C)
    blocks = cast(list[XCiTBlock], list(backbone.blocks))
    statistics.begin(image.height, image.width, backbone.variant.patch_size)
    moments = _first_moments(blocks[0], tokens, statistics)
    levels: dict[int, Rows] = {}
    for index, block in enumerate(blocks):
        moments.reduce(block.attn.affine_map)  # before the next block's moments are requested
        is_last = index + 1 == len(blocks)
        if is_last:
            _run_block(block, moments, tokens)
        else:
            next_moments = statistics.moments(index + 1, *tokens.shape[:2])
            _run_block(block, moments, tokens, blocks[index + 1], next_moments)
            moments = next_moments
        for level, tap in enumerate(backbone.out_indices):
            if tap == index:
                levels[level] = _keep(backbone, level, tokens, is_last, scratch)
        progress((index + 1) / len(blocks))
    return [levels[level] for level in range(len(levels))]


def _keep(backbone: XCiT, level: int, tokens: Tensor, is_last: bool, scratch: Path | None) -> Rows:
    """Return a pyramid level computed from tokens that later blocks will overwrite."""
    factor = backbone.out_strides[level] / backbone.variant.patch_size
    resampler = backbone.resamplers()[level]
    if factor > 1:  # keep the pooled map, which is smaller than its source
        return Stored(Resampled(Stored(tokens), resampler, factor).reader().read_all().clone())
    if is_last:
        return Resampled(Stored(tokens), resampler, factor)
    return Resampled(MapFile(tokens, scratch) if scratch and goes_to_file(tokens.nbytes, tokens.device)
                     else Stored(tokens.clone()), resampler, factor)


def goes_to_file(size: int, device: torch.device) -> bool:
    """Return whether a map of ``size`` bytes that waits for the head goes to a file, if there is a folder for it."""
    return device.type == 'cpu' and size >= FILE_BYTES


class Resampled(Rows):
    """A map resampled by a module of the pyramid.

    Args:
        source: the map.
        module: from ``build_resampler``.
        factor: source pixels per result pixel, a power of two.
    """

    def __init__(self, source: Rows, module: nn.Module, factor: float) -> None:
        if factor > 1:
            # The pooling window is never larger than the map; see MaxPool.
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
        x = self.source.read(first, last, int(stop * self.step))
        y = to_rows(self.module(to_batch(x)))
        ahead = start - int(first / self.step)  # rows before ``start`` that come from the same row of the source
        return y[ahead:ahead + stop - start]


def _embed(backbone: XCiT, image: Rows) -> Tensor:
    """Run the stem and add the positional encoding: (height, width, C)."""
    rows: Rows = Pointwise(image, partial(_check_channels, backbone))
    for module in backbone.patch_embed.proj:
        if isinstance(module, ConvNorm):
            rows = _stem_stage(rows, module)
        else:
            rows = Pointwise(rows, module)
    reader, encoding = rows.reader(), backbone.pos_embeder(rows.height, rows.width)
    encoding = encoding.unflatten(0, (rows.height, rows.width))
    for start, stop in _bands(rows, STEM_TOKENS):
        encoding[start:stop] += reader.read(start, stop)
    return encoding


def _check_channels(backbone: XCiT, image: Tensor) -> Tensor:
    backbone.patch_embed.check_channels(image.shape[2])
    return image


def _run_block(block: XCiTBlock, moments: Moments, tokens: Tensor, next_block: XCiTBlock | None = None,
               next_moments: Moments | None = None) -> None:
    """Run a block in place with its reduced moments, and collect its output for the next block's attention."""
    attended = _Attended(tokens, block, moments)
    lpi = block.local_mp
    normed = Pointwise(attended, block.norm3)
    inner = Convolution(normed, lpi.conv1.weight, lpi.conv1.bias, lambda y: _per_pixel(lpi.bn, lpi.act(y)),
                        groups=lpi.conv1.groups)
    outer = Convolution(inner, lpi.conv2.weight, lpi.conv2.bias, lambda y: y * block.gamma3,
                        groups=lpi.conv2.groups).reader()
    for start, stop in _bands(attended):
        local = outer.read(start, stop)  # attention runs up to two rows ahead, in place
        x = tokens[start:stop]
        x += local
        block.add_mlp_(x)
        if next_block and next_moments:
            next_moments.collect(next_block.norm1(x).flatten(0, 1)[None], start)


class _Attended(Rows):
    """Tokens to which a block's attention branch is added in place as they are read."""

    def __init__(self, tokens: Tensor, block: XCiTBlock, moments: Moments) -> None:
        super().__init__(*tokens.shape[:2])
        self.tokens, self.block, self.moments = tokens, block, moments

    def compute(self, start: int, stop: int) -> Tensor:
        x = self.tokens[start:stop]
        normed = self.block.norm1(x).flatten(0, 1)  # before x changes
        maps, scale = self.moments.maps(start, stop), self.block.gamma1
        if len(maps) == 1 and maps[0].share is maps[0].positions is None and not is_half_precision(x):
            add_affine_(x.flatten(0, 1)[None], normed[None], maps[0].weight * scale, maps[0].bias * scale)
        else:
            x.flatten(0, 1).addcmul_(blend(maps, normed[None])[0].to(x.dtype), scale)
        return x


def _first_moments(block: XCiTBlock, tokens: Tensor, statistics: Statistics) -> Moments:
    """Collect the tokens that the first block attends to, after the statistic has observed them."""
    if statistics.observes:
        for start, stop in _bands(Stored(tokens)):
            statistics.observe(block.norm1(tokens[start:stop]).flatten(0, 1)[None], start)
    moments = statistics.moments(0, *tokens.shape[:2])
    for start, stop in _bands(Stored(tokens)):
        moments.collect(block.norm1(tokens[start:stop]).flatten(0, 1)[None], start)
    return moments


def _bands(rows: Rows, tokens: int | None = None) -> list[tuple[int, int]]:
    return bands(rows.height, max((tokens or BAND_TOKENS) // rows.width, 1))


def _stem_stage(source: Rows, module: ConvNorm) -> Rows:
    conv, norm = module
    folded = fold_batch_norm(cast(nn.Conv2d, conv), norm)
    assert folded  # see check_backbone
    return Convolution(source, *folded, stride=2)


def _per_pixel(norm: nn.Module, x: Tensor) -> Tensor:
    """Apply a batch norm to (rows, W, C)."""
    return to_rows(norm(to_batch(x)))

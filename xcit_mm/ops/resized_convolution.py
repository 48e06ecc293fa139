"""A 3x3 convolution of a resized map, computed at the map's own resolution.

Resizing and convolution are linear, and resizing treats all channels alike, so channels can be mixed first, at low
resolution. Each of the kernel's nine taps becomes a 1x1 convolution at that resolution; the result is the sum of the
resized and shifted products. Along one axis, resizing and shifting by -1, 0 and 1 combine into one small matrix.
"""
from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from .interpolation import resizing_matrix, source_range
from .products import linear
from .recording import is_recorded, is_symbolic

# Input pixels per chunk along an axis. The matrix for a whole axis is mostly zeros; the matrices for short chunks are
# nearly dense.
CHUNK_PIXELS = 16


def convolve_resized(x: Tensor, weight: Tensor, out_size: tuple[int, int], align_corners: bool = False) -> Tensor:
    """Return ``conv2d(interpolate(x, out_size, mode='bilinear'), weight, padding=1)``, in channels-last layout.

    Args:
        x: (B, h, w, in).
        weight: (out, in, 3, 3).
        out_size: (H, W) of the resized map.
        align_corners: as in ``torch.nn.functional.interpolate``.

    Returns:
        (B, H, W, out)
    """
    height, width = out_size
    if is_symbolic():
        return _convolve_at_once(x, weight, height, width, align_corners)
    columns = ColumnConvolution(weight, x.shape[2], width, align_corners, x)
    rows = [apply_row_taps(taps, columns(x[:, first:last]))
            for _, _, first, last, taps in _chunks(x.shape[1], height, align_corners, x)]
    return torch.cat(rows, dim=1) if len(rows) > 1 else rows[0]


def _convolve_at_once(x: Tensor, weight: Tensor, height: int, width: int, align_corners: bool) -> Tensor:
    """Compute ``convolve_resized`` without chunks, because their number would tie a graph to one size."""
    rows, columns = (row_taps(in_size, out_size, 0, out_size, 0, in_size, align_corners, x)
                     for in_size, out_size in zip(x.shape[1:3], (height, width)))  # (H, h * 3), (W, w * 3)
    pixels = F.linear(x, weight.permute(2, 3, 0, 1).flatten(0, 2)).unflatten(3, (3, 3, -1))
    pixels = pixels.permute(0, 1, 3, 2, 4, 5).flatten(3, 4)  # (B, h, row tap, w * column tap, out)
    resized = _product(columns, pixels.flatten(0, 2)).unflatten(0, pixels.shape[:3])  # (B, h, row tap, W, out)
    return apply_row_taps(rows, resized)


class ColumnConvolution:
    """The part of ``convolve_resized`` that works within rows: it mixes channels, then resizes and sums columns.

    Args:
        weight: (out, in, 3, 3).
        in_width, width: w of the map and W of the resized map, px.
        align_corners: as in ``torch.nn.functional.interpolate``.
        like: gives the dtype and device of the map.
    """

    def __init__(self, weight: Tensor, in_width: int, width: int, align_corners: bool, like: Tensor) -> None:
        self.mixing = weight.permute(2, 3, 0, 1).flatten(1, 2)  # (row tap, column tap * out, in)
        self.chunks = list(_chunks(in_width, width, align_corners, like))
        self.width = width

    def __call__(self, x: Tensor) -> Tensor:
        """Convolve rows: (B, h, w, in) -> (B, h, row tap, W, out)."""
        # (B h, w * column tap, out) for each row tap
        pixels = [linear(x, tap).unflatten(3, (3, -1)).flatten(2, 3).flatten(0, 1) for tap in self.mixing]
        if is_recorded() or torch.is_autocast_enabled(x.device.type):
            resized = torch.stack([torch.cat([
                _product(taps, tap[:, 3 * first:3 * last]) for _, _, first, last, taps in self.chunks
            ], dim=1) for tap in pixels], dim=1)
        else:  # write each chunk in place, without a copy
            resized = pixels[0].new_empty(len(pixels[0]), len(pixels), self.width, pixels[0].shape[2])
            for index, tap in enumerate(pixels):
                for start, stop, first, last, taps in self.chunks:
                    _product(taps, tap[:, 3 * first:3 * last], out=resized[:, index, start:stop])
        return resized.unflatten(0, x.shape[:2])


def apply_row_taps(taps: Tensor, columns: Tensor) -> Tensor:
    """Resize and sum rows: (B, h, row tap, W, out) -> (B, H', W, out), using ``row_taps`` (H', h * row tap)."""
    return _product(taps, columns.flatten(3).flatten(1, 2)).unflatten(2, columns.shape[3:])


def row_taps(in_size: int, out_size: int, start: int, stop: int, first: int, last: int, align_corners: bool,
             like: Tensor) -> Tensor:
    """Return the weights of input positions [first, last), shifted by -1, 0 and 1, in output positions [start, stop).

    Returns:
        (stop - start, (last - first) * 3)
    """
    matrix = resizing_matrix(in_size, out_size, start - 1, stop + 1, first, last, align_corners, like)
    return matrix.unfold(0, 3, 1).flatten(1)


def _chunks(in_size: int, out_size: int, align_corners: bool, like: Tensor
            ) -> Iterator[tuple[int, int, int, int, Tensor]]:
    """Split a resized axis into chunks: outputs [start, stop), the inputs [first, last) they need, and taps."""
    step = max(CHUNK_PIXELS * out_size // in_size, 1)
    for start in range(0, out_size, step):
        stop = min(start + step, out_size)
        first, last = source_range(in_size, out_size, start - 1, stop + 1, align_corners)
        yield start, stop, first, last, row_taps(in_size, out_size, start, stop, first, last, align_corners, like)


def _product(matrix: Tensor, batch: Tensor, out: Tensor | None = None) -> Tensor:
    """Return ``matrix @ batch``, avoiding the transposes and the copy that torch's own ``@`` would make."""
    return torch.bmm(matrix.expand(batch.shape[0], -1, -1), batch, out=out)

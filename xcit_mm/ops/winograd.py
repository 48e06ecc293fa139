"""A 3x3 convolution with 4/9 of the multiply-adds: Winograd's F(2x2, 3x3), after Lavin and Gray (arXiv 1509.09308).

A tile of 2x2 output pixels depends on 4x4 input pixels. Sums and differences transform the inputs and the outputs; in
between, 16 matrix products over the channels replace 36. oneDNN, which computes torch's convolutions on a CPU, has no
such kernel. The error is that of single precision: a small multiple of the convolution's.
"""
from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .products import linear

# With fewer channels, the transforms cost as much time as they save (see tools/benchmark.py convolution).
LEAST_CHANNELS = 384
POINTS_PER_TILE, SUMS_PER_TILE = 16, 8  # vectors of channels that ``convolve`` holds for each tile
CHUNK_TILES = 1024  # with fewer, the products are slower; with more, the transforms are

# Transform of a kernel along one axis: 3 taps -> 4 points.
POINTS = ((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1))


def is_faster(weight: Tensor) -> bool:
    """Return whether Winograd is faster for a weight (out, in, kh, kw). It never is on a GPU or in half precision."""
    return (weight.shape[2:] == (3, 3) and min(weight.shape[:2]) >= LEAST_CHANNELS and weight.device.type == 'cpu'
            and weight.dtype in (torch.float32, torch.float64) and not torch.is_autocast_enabled('cpu'))


def buffer_bytes(channels: int, width: int) -> int:
    """Return the size of the largest buffers of ``convolve``, in bytes, for a map of ``width`` px with ``channels``."""
    tiles = max(CHUNK_TILES, -(-width // 2))
    return 0 if channels < LEAST_CHANNELS else 4 * (POINTS_PER_TILE + SUMS_PER_TILE) * tiles * channels


def transform_kernel(weight: Tensor) -> Tensor:
    """Transform a kernel for ``convolve``: (out, in, 3, 3) -> (4, 4, out, in)."""
    points = torch.tensor(POINTS).to(weight)
    return torch.einsum('ai,bj,ocij->aboc', points, points, weight).contiguous()


def convolve(x: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
    """Convolve a map that is already padded above and below, adding zero padding on the left and right.

    Args:
        x: (H + 2, W, in).
        kernel: from ``transform_kernel``.
        bias: (out,).

    Returns:
        (H, W, out)
    """
    height, width = x.shape[0] - 2, x.shape[1]
    down, across = -(-height // 2), -(-width // 2)  # tiles
    x = F.pad(x, (0, 0, 0, 0, 0, 1)) if height % 2 else x
    y = x.new_empty(down, 2, across, 2, kernel.shape[2])
    step = max(CHUNK_TILES // across, 1)
    rows = min(step, down)
    padded = x.new_zeros(4, rows, 2 * across + 2, x.shape[2])  # the margins left and right stay 0
    points = x.new_empty(4, 4, rows, across, x.shape[2])
    sums = x.new_empty(2, 4, rows, across, kernel.shape[2])
    for start in range(0, down, step):
        stop = min(start + step, down)
        _convolve_tiles(x[2 * start:2 * stop + 2], kernel, padded[:, :stop - start], points[:, :, :stop - start],
                        sums[:, :, :stop - start], y[start:stop])
        if bias is not None:
            y[start:stop] += bias
    return y.flatten(2, 3).flatten(0, 1)[:height, :width]


def _convolve_tiles(x: Tensor, kernel: Tensor, padded: Tensor, points: Tensor, sums: Tensor, y: Tensor) -> None:
    """Convolve x (2 down + 2, W, in) and write the result to y (down, 2, across, 2, out).

    ``padded`` (4, down, 2 across + 2, in), whose margins left and right are 0, ``points`` (4, 4, down, across, in) and
    ``sums`` (2, 4, down, across, out) are memory for intermediate results.
    """
    down, _, across, _, _ = y.shape
    _differences([x[index:index + 2 * down:2] for index in range(4)], out=padded[:, :, 1:1 + x.shape[1]])
    for row in range(4):
        _differences([padded[row, :, index:index + 2 * across:2] for index in range(4)], out=points[row])
    for column in range(4):
        _sums([linear(points[row, column], kernel[row, column]) for row in range(4)], out=sums[:, column])
    for row in range(2):
        _sums(sums[row], out=y[:, row].permute(2, 0, 1, 3))


def _differences(taps: Sequence[Tensor], out: Tensor) -> None:
    """Transform four neighbours into four points along one axis."""
    first, second, third, fourth = taps
    torch.sub(first, third, out=out[0])
    torch.add(second, third, out=out[1])
    torch.sub(third, second, out=out[2])
    torch.sub(second, fourth, out=out[3])


def _sums(points: Sequence[Tensor] | Tensor, out: Tensor) -> None:
    """Transform four points into two pixels along one axis."""
    torch.add(points[1], points[2], out=out[0]).add_(points[0])
    torch.sub(points[1], points[2], out=out[1]).sub_(points[3])

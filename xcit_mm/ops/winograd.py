"""A 3x3 convolution with 4/9 of the multiply-adds: Winograd's F(2x2, 3x3), after Lavin and Gray (arXiv 1509.09308).

A tile of 2x2 output pixels depends on 4x4 input pixels. Sums and differences transform the inputs and the outputs; in
between, 16 matrix products over the channels replace 36. oneDNN, which computes torch's convolutions on a CPU, has no
such kernel. The sum over channels is still a single product, so the error is no larger than the convolution's.
"""
from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

# With fewer channels, the transforms cost as much time as they save (see tools/benchmark.py convolution).
LEAST_CHANNELS = 384
CHUNK_TILES = 512  # the transforms of this many tiles fit in a CPU's cache

# Transform of a kernel along one axis: 3 taps -> 4 points.
POINTS = ((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1))


def is_faster(weight: Tensor) -> bool:
    """Return whether Winograd is faster for a weight (out, in, kh, kw). It never is on a GPU or in half precision."""
    return (weight.shape[2:] == (3, 3) and min(weight.shape[:2]) >= LEAST_CHANNELS and weight.device.type == 'cpu'
            and weight.dtype in (torch.float32, torch.float64) and not torch.is_autocast_enabled('cpu'))


def transform_kernel(weight: Tensor) -> Tensor:
    """Transform a kernel for ``convolve``: (out, in, 3, 3) -> (16, in, out)."""
    points = torch.tensor(POINTS, dtype=torch.float64, device=weight.device)
    kernel = torch.einsum('ai,bj,ocij->abco', points, points, weight.double())
    return kernel.flatten(0, 1).to(weight.dtype).contiguous()


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
    x = F.pad(x, (0, 0, 1, 1 + width % 2, 0, height % 2))
    y = x.new_empty(down, 2, across, 2, kernel.shape[2])
    step = max(CHUNK_TILES // across, 1)
    for start in range(0, down, step):
        stop = min(start + step, down)
        _convolve_tiles(x[2 * start:2 * stop + 2], kernel, y[start:stop])
        if bias is not None:
            y[start:stop] += bias
    return y.flatten(2, 3).flatten(0, 1)[:height, :width]


def _convolve_tiles(x: Tensor, kernel: Tensor, y: Tensor) -> None:
    """Convolve x (2 down + 2, 2 across + 2, in) and write the result to y (down, 2, across, 2, out)."""
    down, _, across, _, _ = y.shape
    points = x.new_empty(4, 4, down, across, x.shape[2])
    for row, rows in enumerate(_differences([x[index:index + 2 * down:2] for index in range(4)])):
        _differences([rows[:, index:index + 2 * across:2] for index in range(4)], out=points[row])
    products = torch.bmm(points.view(16, down * across, -1), kernel).view(4, 4, down, across, -1)
    rows = _sums(products, out=torch.empty_like(products[:2]))
    for row in range(2):
        _sums(rows[row], out=y[:, row].permute(2, 0, 1, 3))


def _differences(taps: list[Tensor], out: Tensor | None = None) -> list[Tensor]:
    """Transform four neighbours into four points along one axis."""
    first, second, third, fourth = taps
    into = [None] * 4 if out is None else list(out)
    return [torch.sub(first, third, out=into[0]), torch.add(second, third, out=into[1]),
            torch.sub(third, second, out=into[2]), torch.sub(second, fourth, out=into[3])]


def _sums(points: Tensor, out: Tensor) -> Tensor:
    """Transform four points into two pixels along one axis."""
    torch.add(points[1], points[2], out=out[0]).add_(points[0])
    torch.sub(points[1], points[2], out=out[1]).sub_(points[3])
    return out

"""A 3x3 convolution of a resized map, computed at the map's own resolution.

Resizing and convolution are linear, and resizing treats every channel alike: channels can be mixed first, where
there are few pixels. Each of the nine taps of the kernel is a 1x1 convolution at low resolution; the resized and
shifted results add up. Along one axis, resizing and shifting by -1, 0 and 1 is one small matrix.
"""
from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from .interpolation import resizing_matrix, source_range

# Pixels of the map in a piece. The matrices are banded, and dense ones of short pieces hold few zeros.
PIECE = 16


def convolve_resized(x: Tensor, weight: Tensor, out_size: tuple[int, int], align_corners: bool = False,
                     rows: tuple[int, int] | None = None, in_rows: tuple[int, int] | None = None) -> Tensor:
    """``conv2d(interpolate(x, out_size, mode='bilinear'), weight, padding=1)``, in channels-last layout.

    Args:
        x: (B, h, w, in): the map, or some of its rows.
        weight: (out, in, 3, 3).
        out_size: (H, W) of the resized map.
        align_corners: as in ``torch.nn.functional.interpolate``.
        rows: rows [start, stop) of the result to compute. Default: all H.
        in_rows: (first row of x, height of the whole map). Default: x is the whole map.

    Returns:
        (B, stop - start, W, out)
    """
    height, width = out_size
    offset, in_height = in_rows or (0, x.shape[1])
    mixing = weight.permute(2, 3, 0, 1).flatten(1, 2)  # (row tap, column tap * out, in)
    pieces = list(_pieces(x.shape[2], width, (0, width), align_corners, x))
    result = []
    for _, _, first, last, taps in _pieces(in_height, height, rows or (0, height), align_corners, x):
        part = x[:, first - offset:last - offset]
        columns = _resize_columns([F.linear(part, tap) for tap in mixing], width, pieces)
        # A row of the matrix holds the row taps of each of these rows: (h' * row tap, W * out)
        result.append(_product(taps, columns.flatten(3).flatten(1, 2)).unflatten(2, (width, -1)))
    return torch.cat(result, dim=1) if len(result) > 1 else result[0]


def _pieces(in_size: int, out_size: int, wanted: tuple[int, int], align_corners: bool, like: Tensor
            ) -> Iterator[tuple[int, int, int, int, Tensor]]:
    """Cut the wanted part of a resized axis into pieces.

    Yields:
        Positions [start, stop) of a piece, the input positions [first, last) that it needs, and its matrix:
        (stop - start, (last - first) * 3), the taps of each input position for shifts of -1, 0 and 1.
    """
    step = max(PIECE * out_size // in_size, 1)
    for start in range(wanted[0], wanted[1], step):
        stop = min(start + step, wanted[1])
        first, last = source_range(in_size, out_size, start - 1, stop + 1, align_corners)
        taps = [resizing_matrix(in_size, out_size, start + shift, stop + shift, first, last, align_corners, like)
                for shift in (-1, 0, 1)]
        yield start, stop, first, last, torch.stack(taps, dim=2).flatten(1)


def _resize_columns(mixed: list[Tensor], width: int, pieces: list) -> Tensor:
    """Resize rows of pixels, and add up the column taps.

    Args:
        mixed: for each row tap, (B, h, w, column tap * out).
        width: W.
        pieces: of the columns, from ``_pieces``.

    Returns:
        (B, h, row tap, W, out)
    """
    batch, height = mixed[0].shape[:2]
    # (B h, w * column tap, out) each
    pixels = [tap.unflatten(3, (3, -1)).flatten(2, 3).flatten(0, 1) for tap in mixed]
    if torch.is_grad_enabled():
        resized = torch.stack([
            torch.cat([_product(taps, tap[:, 3 * first:3 * last]) for _, _, first, last, taps in pieces], dim=1)
            for tap in pixels], dim=1)
    else:  # without copying each piece to its place
        resized = pixels[0].new_empty(batch * height, len(pixels), width, pixels[0].shape[2])
        for index, tap in enumerate(pixels):
            for start, stop, first, last, taps in pieces:
                _product(taps, tap[:, 3 * first:3 * last], out=resized[:, index, start:stop])
    return resized.unflatten(0, (batch, height))


def _product(matrix: Tensor, batch: Tensor, out: Tensor | None = None) -> Tensor:
    """``matrix @ batch``, for which torch would turn around both, and copy the result back."""
    return torch.bmm(matrix.expand(len(batch), -1, -1), batch, out=out)

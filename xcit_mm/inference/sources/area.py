"""Reduce images: each pixel becomes the mean over the area that it covers."""
from __future__ import annotations

import numpy as np

Taps = tuple[np.ndarray, np.ndarray]  # (n, k) source pixels and their weights, which sum to 1, for n pixels


def area_means(pixels: np.ndarray, mask: np.ndarray | None, rows: Taps, columns: Taps
               ) -> tuple[np.ndarray, np.ndarray | None]:
    """Average pixels by area. Each result depends only on the pixels in its area, not on the others in the array.

    Args:
        pixels: (H, W, bands).
        mask: (H, W) bool: which pixels have data; None if all do. The others do not count in the means.
        rows, columns: from ``taps``.

    Returns:
        The means (rows, columns, bands), in the dtype of ``pixels``, and which of them have data: those with data on at
        least half of their area; None if all do.
    """
    if mask is None:
        return _rounded(_sums(pixels, rows, columns), pixels.dtype), None
    share = _sums(mask[..., None], rows, columns)
    sums = _sums(np.where(mask[..., None], pixels, 0), rows, columns)
    return _rounded(sums / np.maximum(share, np.float32(1e-6)), pixels.dtype), share[..., 0] >= 0.5


def taps(start: int, stop: int, scale: float, size: int, first: int = 0) -> Taps:
    """Return which pixels each of the pixels [start, stop) of a reduced image covers, and how much of them.

    Args:
        start, stop: see above.
        scale: size of a reduced pixel, in source pixels.
        size: number of source pixels; a reduced pixel may extend beyond the last one.
        first: the source pixel that counts as number 0 in the result.
    """
    edges = np.arange(start, stop + 1) * scale
    left, right = edges[:-1, None], edges[1:, None]
    index = np.floor(left).astype(np.int64) + np.arange(int(np.ceil(scale)) + 1)
    weights = np.clip(np.minimum(right, index + 1) - np.maximum(left, index), 0, None) * (index < size)
    weights /= weights.sum(axis=1, keepdims=True)
    return np.minimum(index, size - 1) - first, weights.astype(np.float32)


def _sums(pixels: np.ndarray, rows: Taps, columns: Taps) -> np.ndarray:
    for axis, (index, weights) in enumerate((rows, columns)):
        shape = [1] * 3
        shape[axis] = len(index)
        # One tap after another: the order of a sum, and so its rounding, is the same in every band.
        pixels = sum((np.take(pixels, index[:, tap], axis) * weights[:, tap].reshape(shape)
                      for tap in range(index.shape[1])), np.float32(0))
    return pixels


def _rounded(means: np.ndarray, dtype: np.dtype) -> np.ndarray:
    return (means if dtype.kind == 'f' else np.rint(means)).astype(dtype)

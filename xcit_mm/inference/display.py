"""Turn pixels of any number of bands and any dtype into a picture."""
from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def to_rgb(pixels: np.ndarray, is_bgr: bool, limits: tuple[float, float] | None = None) -> np.ndarray:
    """Return pixels for display: (H, W) or (H, W, bands), in any dtype -> (H, W, 3) uint8, RGB.

    Of more than three bands, show the first three; of fewer, the first one in grey. Values that are not uint8 are
    scaled to 0 … 255.

    Args:
        pixels: see above.
        is_bgr: whether the first three bands are blue, green and red.
        limits: the values to show as 0 and as 255; default: the lowest and the highest.
    """
    bands = np.atleast_3d(pixels)
    if bands.shape[2] < 3:
        bands = np.broadcast_to(bands[..., :1], (*bands.shape[:2], 3))
    else:
        bands = bands[..., 2::-1] if is_bgr else bands[..., :3]
    if bands.dtype == np.uint8:
        return np.ascontiguousarray(bands)
    # Row by row, because copies of the whole image take memory.
    low, high = limits or value_range(bands)
    shown = np.empty(bands.shape, np.uint8)
    for row, values in zip(shown, bands):
        values = np.nan_to_num(values.astype(np.float32), nan=low, posinf=high, neginf=low).clip(low, high)
        row[:] = (values - low) * (255 / max(high - low, 1e-12))
    return shown


def value_range(arrays: Iterable[np.ndarray]) -> tuple[float, float]:
    """Return the lowest and the highest finite value of some arrays, or (0, 0) if they have none."""
    low, high = np.inf, -np.inf
    for values in arrays:
        known = values[np.isfinite(values)]
        if known.size:
            low, high = min(low, float(known.min())), max(high, float(known.max()))
    return (low, high) if low <= high else (0.0, 0.0)

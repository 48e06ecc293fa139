"""Show a file that is too large to be read at once."""
from __future__ import annotations

import numpy as np

from ..ops.rows import bands
from .data_mask import ROWS_AT_ONCE
from .pipeline import to_rgb
from .results import Thinning
from .sources import Source


def show(source: Source, is_bgr: bool) -> np.ndarray:
    """Return a file's pixels for display, thinned if it is large: (h, w, 3) uint8, RGB; see ``to_rgb``.

    Pixels without data are as dark as the darkest others.

    Args:
        source: an open file, not read yet.
        is_bgr: whether its first three bands are blue, green and red.
    """
    thin, reader = Thinning(source.height, source.width), source.reader()
    rows = list(bands(source.height, ROWS_AT_ONCE))
    pixels = thin(reader.read(start, stop)[..., :3].numpy() for start, stop in rows)
    masks = (source.valid(start, stop) for start, stop in rows)
    valid = thin(np.ones((stop - start, source.width), bool) if mask is None else mask.numpy()
                 for mask, (start, stop) in zip(masks, rows))
    if valid.any() and not valid.all():
        lowest = pixels.min(where=valid[..., None], initial=pixels.max())
        np.copyto(pixels, lowest, where=~valid[..., None])
    return to_rgb(pixels, is_bgr)

"""The size of a result's pixels on the ground or on the slide."""
from __future__ import annotations

from math import hypot
from typing import NamedTuple

from ..sink import ResultMeta


class PixelSize(NamedTuple):
    """The size of a pixel.

    Attributes:
        width: distance between neighbours in a row, m.
        area: m².
    """
    width: float
    area: float


def pixel_size(meta: ResultMeta) -> PixelSize | None:
    """Return the size of a pixel; None if it is unknown or, as in a geographic CRS, differs from pixel to pixel."""
    if meta.microns:
        down, right = (1e-6 * size for size in meta.microns)
        return PixelSize(right, down * right)
    if meta.georeference is None or meta.georeference.crs is None:
        return None
    import rasterio

    crs = rasterio.CRS.from_wkt(meta.georeference.crs)
    if not crs.is_projected:
        return None
    (a, b, _, d, e, _), (_, meters) = meta.georeference.transform, crs.linear_units_factor
    return PixelSize(hypot(a, d) * meters, abs(a * e - b * d) * meters**2)

"""Rasters that GDAL reads, such as GeoTIFF, COG, VRT, JPEG 2000 and ENVI, through rasterio."""
from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...errors import UnreadableImageError
from ...ops.rows import bands as row_bands
from .gdal import open_raster, read_box
from .source import SOURCES, Box, GeoReference, Source
from .spectral_bands import in_order, require_bands, require_dtypes, to_tensor

MOST_ROWS = 1024  # read at once, even from a file in higher tiles or strips


@SOURCES.register_module()
class RasterFile(Source):
    """A raster, read by windows of whole rows: (rows, W, bands), without GDAL's scale and offset.

    Args:
        path: a file in any format that GDAL reads.
        bands, as_stored: see ``ReadOptions``.

    Raises:
        InputError: rasterio is not installed, the file lacks one of the bands, or its values are neither 8-bit nor
            16-bit and ``as_stored`` is False.
        UnreadableImageError: the file does not exist, is damaged, or holds values of an unsupported dtype.
    """

    suffixes = ('.bil', '.bip', '.bsq', '.img', '.j2k', '.jp2', '.vrt')
    options = 'bands', 'as_stored'

    def __init__(self, path: Path, bands: Sequence[int] = (), as_stored: bool = False) -> None:
        self.file = open_raster(path)
        try:
            chosen = _choose_bands(self.file, bands, as_stored, path)
            self._has_mask = _has_mask(self.file, chosen)
            self.georeference = _georeference(self.file)
        except BaseException:
            self.file.close()
            raise
        super().__init__(path, self.file.height, self.file.width)
        self.bands = len(chosen)
        self.as_stored = as_stored
        self._indexes = in_order(chosen, as_stored)
        self._holds_floats = any(self.file.dtypes[band - 1] == 'float32' for band in chosen)
        self.at_least = min(self.file.block_shapes[0][0], MOST_ROWS)

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def compute(self, start: int, stop: int) -> Tensor:
        return self.read_box(Box(start, stop, 0, self.width))

    def valid(self, start: int, stop: int) -> Tensor | None:
        """Return which pixels have data; see ``Source.valid`` and ``valid_in``."""
        return self.valid_in(Box(start, stop, 0, self.width))

    def read_box(self, box: Box) -> Tensor:
        """Read a part of the raster, in any order: (box height, box width, bands)."""
        return to_tensor(np.moveaxis(self._read_bands(box), 0, 2), self.as_stored)

    def valid_in(self, box: Box) -> Tensor | None:
        """Return which pixels of a part have data: (box height, box width) bool; None if every pixel does.

        A pixel lacks data if GDAL's masks of the chosen bands all say so (from a mask band, alpha or the nodata value),
        or if one of its values is infinite or NaN.
        """
        if not self._has_mask and not self._holds_floats:
            return None
        valid = np.empty((box.height, box.width), bool)
        for start, stop in row_bands(box.height, max(self.at_least, 256)):  # all bands at once would take memory
            part = box._replace(top=box.top + start, bottom=box.top + stop)
            masks = read_box(self.file, self.path, partial(self.file.read_masks, self._indexes), part)
            valid[start:stop] = masks.max(axis=0) > 0
            if self._holds_floats:
                valid[start:stop] &= np.isfinite(self._read_bands(part)).all(axis=0)
        return torch.from_numpy(valid)

    def _read_bands(self, box: Box) -> np.ndarray:
        """Read a part of the chosen bands: (bands, box height, box width)."""
        return read_box(self.file, self.path, partial(self.file.read, self._indexes), box)


def _choose_bands(file: Any, bands: Sequence[int], as_stored: bool, path: Path) -> list[int]:
    from rasterio.enums import ColorInterp

    if not file.count:
        raise UnreadableImageError(f'cannot read {path}: it holds no bands; if it is a container, convert one of its '
                                   'datasets with gdal_translate')
    require_bands(bands, file.count, path)
    chosen = list(bands) or [band for band, meaning in zip(file.indexes, file.colorinterp)
                             if meaning != ColorInterp.alpha or file.count == 1]
    dtypes = sorted({file.dtypes[band - 1] for band in chosen})
    require_dtypes(dtypes, as_stored, path, 'convert it with gdal_translate -ot Float32')
    if len(dtypes) > 1:
        raise UnreadableImageError(f'cannot read {path}: its bands have different types ({", ".join(dtypes)}); convert '
                                   'them to one with gdal_translate -ot, or choose bands of one type')
    if any(file.colorinterp[band - 1] == ColorInterp.palette for band in chosen):
        raise UnreadableImageError(f'cannot read {path}: its values are indices into a colour table; convert it with '
                                   'gdal_translate -expand rgb')
    return chosen


def _has_mask(file: Any, chosen: list[int]) -> bool:
    from rasterio.enums import ColorInterp, MaskFlags

    # If the user chooses a band that is marked as alpha, it is something else, such as infrared, and masks nothing.
    alpha_is_data = any(file.colorinterp[band - 1] == ColorInterp.alpha for band in chosen)
    flags = [file.mask_flag_enums[band - 1] for band in chosen]
    return any(MaskFlags.all_valid not in each and not (alpha_is_data and MaskFlags.alpha in each) for each in flags)


def _georeference(file: Any) -> GeoReference | None:
    if file.crs is None and file.transform.is_identity:
        return None
    return GeoReference(file.crs.to_wkt() if file.crs else None, tuple(file.transform)[:6])

"""Rasters that GDAL reads, such as GeoTIFF, COG, VRT, JPEG 2000 and ENVI, through rasterio."""
from __future__ import annotations

import warnings
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...errors import InputError, UnreadableImageError
from .local_file import require_file
from .picture import to_8_bits
from .source import SOURCES, GeoReference, Source

DTYPES = ('uint8', 'uint16', 'int16', 'float32')
MOST_ROWS = 1024  # read at once, even from a file in higher tiles or strips


@SOURCES.register_module()
class RasterFile(Source):
    """A raster, read by windows of whole rows: (rows, W, bands), without GDAL's scale and offset.

    Args:
        path: a file in any format that GDAL reads.
        bands: numbers of the bands to read, from 1, in order; by default, all except alpha.
        as_stored: keep the values and the order of the bands, as ``LoadImageFromFile(imdecode_backend='tifffile')``
            does; uint16 becomes int32, because torch supports few operations on uint16. Otherwise, do as
            ``LoadImageFromFile`` does by default: divide 16-bit values by 256, and return three bands last to first;
            if they are red, green and blue, the data preprocessor's ``bgr_to_rgb`` restores their order.

    Raises:
        InputError: rasterio is not installed, the file lacks one of the bands, or its values are neither 8-bit nor
            16-bit and ``as_stored`` is False.
        UnreadableImageError: the file does not exist, is damaged, or holds values of an unsupported dtype.
    """

    suffixes = ('.bil', '.bip', '.bsq', '.img', '.j2k', '.jp2', '.vrt')

    def __init__(self, path: Path, bands: Sequence[int] = (), as_stored: bool = False) -> None:
        self.file = open_raster(path)
        try:
            chosen = _choose_bands(self.file, bands, path)
            if not as_stored:
                _require_8_bits_or_16(self.file, chosen, path)
            self._has_mask = _has_mask(self.file, chosen)
            self.georeference = _georeference(self.file)
        except BaseException:
            self.file.close()
            raise
        super().__init__(path, self.file.height, self.file.width)
        self.bands = len(chosen)
        self.as_stored = as_stored
        self._indexes = chosen if as_stored or len(chosen) != 3 else chosen[::-1]
        self._holds_floats = any(self.file.dtypes[band - 1] == 'float32' for band in chosen)
        self.at_least = min(self.file.block_shapes[0][0], MOST_ROWS)

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def compute(self, start: int, stop: int) -> Tensor:
        rows = np.moveaxis(self._read_bands(start, stop), 0, 2)
        rows = rows if self.as_stored else to_8_bits(rows)
        return torch.from_numpy(np.ascontiguousarray(rows, np.int32 if rows.dtype == np.uint16 else None))

    def valid(self, start: int, stop: int) -> Tensor | None:
        """Return which pixels have data; see ``Source.valid``.

        A pixel lacks data if GDAL's masks of the chosen bands all say so (from a mask band, alpha or the nodata value),
        or if one of its values is infinite or NaN.
        """
        if not self._has_mask and not self._holds_floats:
            return None
        masks = self._read_window(lambda window: self.file.read_masks(self._indexes, window=window), start, stop)
        valid = masks.max(axis=0) > 0
        if self._holds_floats:
            valid &= np.isfinite(self._read_bands(start, stop)).all(axis=0)
        return torch.from_numpy(valid)

    def _read_bands(self, start: int, stop: int) -> np.ndarray:
        """Read rows [start, stop) of the chosen bands: (bands, rows, W)."""
        return self._read_window(lambda window: self.file.read(self._indexes, window=window), start, stop)

    def _read_window(self, read: Callable[..., np.ndarray], start: int, stop: int) -> np.ndarray:
        from rasterio.errors import RasterioError
        from rasterio.windows import Window

        try:
            return read(window=Window(0, start, self.width, stop - start))
        except RasterioError as error:
            for _, window in self.file.block_windows(1):  # which of the tiles is it?
                (top, bottom), (left, right) = window.toranges()
                if start < bottom and top < stop:
                    try:
                        read(window=window)
                    except RasterioError as damage:
                        raise UnreadableImageError(
                            f'cannot read {self.path}: the window of rows {top} to {bottom} and columns {left} to '
                            f'{right} is damaged or missing ({_reason(damage)})') from None
            raise UnreadableImageError(f'cannot read {self.path}: rows {start} to {stop} are damaged or missing '
                                       f'({_reason(error)})') from None


def open_raster(path: Path) -> Any:
    """Open a raster as a rasterio dataset.

    Raises:
        InputError: rasterio is not installed.
        UnreadableImageError: the file does not exist, or GDAL cannot read it.
    """
    require_geo('rasterio', f'reading {path}')
    require_file(path)
    import rasterio

    # Without the check of its size, the missing end of an ENVI file would be read as zeros.
    with quiet(), rasterio.Env(RAW_CHECK_FILE_SIZE=True):
        try:
            return rasterio.open(path)
        except rasterio.errors.RasterioError as error:
            raise UnreadableImageError(f'cannot read {path}: GDAL cannot open it ({_reason(error)})') from None


def require_geo(package: str, purpose: str) -> None:
    """Raise ``InputError`` unless a package of the ``geo`` extra is installed."""
    if find_spec(package) is None:
        raise InputError(f"{purpose} needs {package}: pip install 'xcit_mm[geo]'")


@contextmanager
def quiet() -> Generator[None, None, None]:
    """Suppress rasterio's warning about rasters without a georeference."""
    from rasterio.errors import NotGeoreferencedWarning

    with warnings.catch_warnings():
        warnings.simplefilter('ignore', NotGeoreferencedWarning)
        yield


def _choose_bands(file: Any, bands: Sequence[int], path: Path) -> list[int]:
    from rasterio.enums import ColorInterp

    if not file.count:
        raise UnreadableImageError(f'cannot read {path}: it holds no bands; if it is a container, convert one of its '
                                   'datasets with gdal_translate')
    if unknown := [band for band in bands if not 1 <= band <= file.count]:
        raise InputError(f'cannot read band {unknown[0]} of {path}: its bands are 1 to {file.count}')
    chosen = list(bands) or [band for band, meaning in zip(file.indexes, file.colorinterp)
                             if meaning != ColorInterp.alpha or file.count == 1]
    if wrong := [file.dtypes[band - 1] for band in chosen if file.dtypes[band - 1] not in DTYPES]:
        raise UnreadableImageError(f'cannot read {path}: its values are {wrong[0]}, but must be '
                                   f'{", ".join(DTYPES)}; convert it with gdal_translate -ot Float32')
    if len(kinds := sorted({file.dtypes[band - 1] for band in chosen})) > 1:
        raise UnreadableImageError(f'cannot read {path}: its bands have different types ({", ".join(kinds)}); convert '
                                   'them to one with gdal_translate -ot, or choose bands of one type')
    if any(file.colorinterp[band - 1] == ColorInterp.palette for band in chosen):
        raise UnreadableImageError(f'cannot read {path}: its values are indices into a colour table; convert it with '
                                   'gdal_translate -expand rgb')
    return chosen


def _require_8_bits_or_16(file: Any, chosen: list[int], path: Path) -> None:
    if wrong := {file.dtypes[band - 1] for band in chosen} - {'uint8', 'uint16'}:
        raise InputError(f'cannot read {path}: its values are {wrong.pop()}, but the config loads 8-bit images; train '
                         "and predict with LoadImageFromFile(imdecode_backend='tifffile'), which keeps the values")


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


def _reason(error: Exception) -> str:
    """Return the first line of the innermost error, which is GDAL's own."""
    cause = error.__cause__
    text = str(getattr(cause, 'errmsg', None) or cause or error)
    return next(iter(text.splitlines()), type(error).__name__)

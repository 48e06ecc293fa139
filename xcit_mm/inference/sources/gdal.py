"""Open rasters with rasterio and read boxes of them, with errors that name the file and the damaged part."""
from __future__ import annotations

import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import UnreadableImageError
from .local_file import require_file
from .packages import require_package
from .source import Box, damaged_window


def open_raster(path: Path) -> Any:
    """Open a raster as a rasterio dataset.

    Raises:
        InputError: rasterio is not installed.
        UnreadableImageError: the file does not exist, or GDAL cannot read it.
    """
    require_package('rasterio', f'reading {path}')
    require_file(path)
    import rasterio

    # Without the check of its size, the missing end of an ENVI file would be read as zeros.
    with quiet(), rasterio.Env(RAW_CHECK_FILE_SIZE=True):
        try:
            return rasterio.open(path)
        except rasterio.errors.RasterioError as error:
            raise UnreadableImageError(f'cannot read {path}: GDAL cannot open it ({_reason(error)})') from None


def read_box(file: Any, path: Path, read: Callable[..., np.ndarray], box: Box) -> np.ndarray:
    """Read a part of an open raster.

    Args:
        file: from ``open_raster``.
        path: the file, for errors.
        read: ``file.read`` or ``file.read_masks``, possibly with arguments; called with a ``window``.
        box: the part.

    Raises:
        UnreadableImageError: a tile of this part is damaged or missing.
    """
    from rasterio.errors import RasterioError
    from rasterio.windows import Window

    try:
        return read(window=Window(box.left, box.top, box.width, box.height))
    except RasterioError as error:
        for _, window in file.block_windows(1):  # which of the tiles is it?
            (top, bottom), (left, right) = window.toranges()
            if box.top < bottom and top < box.bottom and box.left < right and left < box.right:
                try:
                    read(window=window)
                except RasterioError as damage:
                    raise damaged_window(path, (top, bottom), (left, right), _reason(damage)) from None
        raise UnreadableImageError(f'cannot read {path}: rows {box.top} to {box.bottom} are damaged or missing '
                                   f'({_reason(error)})') from None


@contextmanager
def quiet() -> Generator[None, None, None]:
    """Suppress rasterio's warning about rasters without a georeference."""
    from rasterio.errors import NotGeoreferencedWarning

    with warnings.catch_warnings():
        warnings.simplefilter('ignore', NotGeoreferencedWarning)
        yield


def _reason(error: Exception) -> str:
    """Return the first line of the innermost error, which is GDAL's own."""
    cause = error.__cause__
    text = str(getattr(cause, 'errmsg', None) or cause or error)
    return next(iter(text.splitlines()), type(error).__name__)

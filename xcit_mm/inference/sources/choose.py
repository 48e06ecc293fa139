"""Choose the source that reads a file from the file's content and suffix."""
from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from ...errors import InputError
from .formats import find_format
from .image_file import ImageFile
from .local_file import read_bytes, require_file
from .raster import RasterFile
from .source import SOURCES, Source, find_source, known_suffixes
from .tiff import TiffFile, is_raster, is_tiled


def choose_source(path: Path) -> type[Source]:
    """Return the kind of source that reads a file.

    A TIFF file with a location on Earth or a nodata value is a raster. So is a file whose suffix belongs to no source,
    if GDAL can open it.

    Raises:
        InputError: no source reads files with this suffix, or the file needs a package that is not installed.
        UnreadableImageError: the file does not exist, or its format is unknown.
    """
    kind = find_source(path)
    if kind is None:
        require_file(path)
        if find_spec('rasterio'):
            return RasterFile
        raise InputError(f'cannot read {path}: the known suffixes are {", ".join(known_suffixes())}; with the geo '
                         'extra, GDAL reads other files, too')
    if not kind.formats:
        return kind
    name = find_format(read_bytes(path, 32), str(path))
    if name not in kind.formats:  # the suffix is that of another format
        kind = next(each for each in reversed(SOURCES.module_dict.values()) if name in each.formats)
    return RasterFile if kind is TiffFile and is_raster(path) else kind


def open_source(path: Path, bands: Sequence[int] = (), as_stored: bool = False) -> Source:
    """Open an image.

    Args:
        path: the file.
        bands: numbers of the bands to read, from 1, as in GDAL; by default, all except alpha. The file is then read as
            a raster, even if it is a picture.
        as_stored: read pictures as rasters, too, and rasters as stored; see ``RasterFile``.

    Raises:
        InputError: see ``choose_source`` and ``RasterFile``.
        UnreadableImageError: the file does not exist, is damaged, or contains pixels that its source cannot read.
    """
    kind = RasterFile if bands else choose_source(path)
    if kind is RasterFile or as_stored and kind.formats:
        return RasterFile(path, bands, as_stored)
    return kind(path)  # type: ignore[call-arg]  # subclasses determine the size


def is_picture(path: Path) -> bool:
    """Return whether a file is a PNG, JPEG, BMP or WebP picture, or a TIFF picture in strips.

    Other files are usually large, and sources read them a few rows at a time.

    Raises:
        InputError: see ``choose_source``.
    """
    kind = choose_source(path)
    return issubclass(kind, ImageFile) or kind is TiffFile and not is_tiled(path)

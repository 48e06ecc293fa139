"""Choose the source that reads a file from the file's content and suffix."""
from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from ...errors import InputError
from .formats import find_format
from .image_file import ImageFile
from .local_file import read_bytes, require_file
from .ome_tiff import OmeTiff
from .picture import require_upright_picture
from .pyramid import PyramidFile
from .raster import RasterFile
from .read_options import ReadOptions
from .slide import GENERIC, SlideFile, slide_vendor
from .source import SOURCES, Source, find_source, known_suffixes
from .tiff import TiffFile, is_raster, is_tiled, open_tiff, readable, require_description
from .tiff_pages import require_upright


def choose_source(path: Path, options: ReadOptions = ReadOptions()) -> type[Source]:
    """Return the kind of source that reads a file.

    A TIFF file with a location on Earth or a nodata value is a raster. So is a file whose suffix belongs to no source,
    if GDAL can open it.

    Args:
        path: the file, or a folder that is an image.
        options: what to read. Other TIFF files are read as slides if a microscope wrote them, and as OME-TIFF if they
            are tiled or have a page for each channel. The rest are read at full resolution, unless a level or the size
            of the pixels is chosen: then all OME-TIFF files and all that OpenSlide can read are pyramids.

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
    return _choose_tiff(path, options.is_scaled) if kind is TiffFile else kind


def _choose_tiff(path: Path, is_scaled: bool) -> type[Source]:
    if is_raster(path):
        return RasterFile
    with open_tiff(path) as file, readable(path):
        require_description(file, path)
        if file.is_ome:
            first = file.pages.first
            is_tiled_color = first.is_tiled and first.samplesperpixel > 2
            if is_scaled or is_tiled_color or len(file.series[0].pages) > 1:  # a page for each channel
                return OmeTiff
    if not is_scaled and not find_spec('openslide'):
        return TiffFile
    vendor = slide_vendor(path)
    return SlideFile if vendor and (is_scaled or vendor != GENERIC) else TiffFile


def open_source(path: Path, options: ReadOptions = ReadOptions()) -> Source:
    """Open an image.

    Args:
        path: the file, or a folder that is an image.
        options: what to read. If bands are chosen, pictures are read as rasters. If pixels are wanted as stored,
            pictures are read as rasters, too.

    Raises:
        InputError: see ``choose_source``; also if the file does not allow one of the options.
        UnreadableImageError: the file does not exist, is damaged, or contains pixels that its source cannot read.
    """
    options.require_one_scale(path)
    kind = choose_source(path, options)
    if options.is_scaled and 'level' not in kind.options:
        raise InputError(f'cannot read {path} at another resolution: only slides, OME-TIFF, OME-Zarr and tiled TIFF '
                         'pyramids without a georeference have levels; choose neither a level nor microns per pixel')
    if 'bands' not in kind.options and (options.bands or options.as_stored and kind.formats):
        _require_as_displayed(path, kind)
        kind = RasterFile
    return kind(path, **{name: getattr(options, name) for name in kind.options})


def _require_as_displayed(path: Path, kind: type[Source]) -> None:
    """Reject pictures that GDAL would read otherwise than they are shown."""
    if issubclass(kind, ImageFile):
        require_upright_picture(path, find_format(read_bytes(path, 32), str(path)))
    elif kind is TiffFile:
        with open_tiff(path) as file, readable(path):
            require_upright(file.pages.first, str(path))


def is_pyramid(path: Path, options: ReadOptions = ReadOptions()) -> bool:
    """Return whether a file is read as a slide, OME-TIFF or OME-Zarr.

    Raises:
        InputError: see ``choose_source``.
    """
    return issubclass(choose_source(path, options), PyramidFile)


def is_picture(path: Path) -> bool:
    """Return whether a file is a PNG, JPEG, BMP or WebP picture, or a TIFF picture in strips.

    Other files are usually large, and sources read them a few rows at a time.

    Raises:
        InputError: see ``choose_source``.
    """
    kind = choose_source(path)
    return issubclass(kind, ImageFile) or kind is TiffFile and not is_tiled(path)

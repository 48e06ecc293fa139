"""OME-TIFF files with a page for each channel, or with a pyramid."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from ...errors import UnreadableImageError
from .pyramid import MICRONS, Pair, PyramidFile, choose_view
from .source import SOURCES
from .spectral_bands import in_order, require_bands, require_dtypes
from .tiff import open_tiff, readable
from .tiff_pages import ALPHA, JPEG, color_space
from .tiff_segments import read_segments, segment_height

SLICES = dict(Z='a stack of {} slices', T='{} time points')
COLORS = 'MINISBLACK', 'RGB', 'PALETTE'  # indices into a palette are labels, which are read as they are
HINT = 'convert what is to be segmented with bfconvert -series 0 -z 0 -timepoint 0'


@SOURCES.register_module()
class OmeTiff(PyramidFile):
    """The image in an OME-TIFF file; its bands are the channels, or the samples of each channel, except for alpha.

    Args:
        path: the file.
        bands, as_stored, level, microns_per_pixel: see ``ReadOptions``.

    Raises:
        InputError: tifffile is not installed, or an option does not suit the file; see ``choose_view``.
        UnreadableImageError: the file does not exist, is damaged, or holds several images, slices or time points.
    """

    suffixes = ()  # chosen by content

    def __init__(self, path: Path, bands: Sequence[int] = (), as_stored: bool = False, level: int | None = None,
                 microns_per_pixel: float | None = None) -> None:
        self.file = open_tiff(path)
        try:
            with readable(path):
                series = _only_image(self.file, path)
                levels = [[page.aspage() for page in each.pages] for each in series.levels]
                sizes = [(pages[0].imagelength, pages[0].imagewidth) for pages in levels]
                view = choose_view(path, sizes, _microns(self.file.ome_metadata), level, microns_per_pixel)
                self.pages = levels[view.level]
                first = self.pages[0]
                count = len(self.pages) * first.samplesperpixel
                require_bands(bands, count, path)
                _require_stored_colors(first, path)
                require_dtypes([np.dtype(series.dtype).name], as_stored, path, 'convert it with bfconvert')
                height = segment_height(first)
        except BaseException:
            self.file.close()
            raise
        super().__init__(path, view, height, as_stored, has_mask=series.dtype.kind == 'f')
        self._indexes = [band - 1 for band in in_order(bands or _without_alpha(first, count), as_stored)]
        self.bands = len(self._indexes)

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def read_piece(self, start: int, stop: int) -> np.ndarray:
        samples = self.pages[0].samplesperpixel
        with readable(self.path):
            needed = {index // samples for index in self._indexes}
            pages = {number: read_segments(self.pages[number], start, stop, self.path) for number in needed}
        return np.stack([pages[index // samples][..., index % samples] for index in self._indexes], axis=2)


def _only_image(file: Any, path: Path) -> Any:
    """Return the image as a tifffile series."""
    series = file.series[0]
    if len(file.series) > 1:
        raise UnreadableImageError(f'cannot read {path}: it holds {len(file.series)} images; {HINT}')
    for axis, size in zip(series.axes, series.shape):
        if axis not in 'CYXS' and size > 1:
            what = SLICES.get(axis, '{} images along axis ' + axis).format(size)
            raise UnreadableImageError(f'cannot read {path}: it holds {what}; {HINT}')
    if series.is_multifile or any(page is None for level in series.levels for page in level.pages):
        raise UnreadableImageError(f'cannot read {path}: parts of it are in other files or missing; {HINT}')
    return series


def _require_stored_colors(page: Any, path: Path) -> None:
    """Reject pages whose values are not the brightness of red, green, blue or a channel."""
    colors = color_space(page)
    if colors not in COLORS and not (colors == 'YCBCR' and int(page.compression) in JPEG):  # JPEG decodes to RGB
        raise UnreadableImageError(f'cannot read {path}: its colour space is {colors}; convert it to grey or RGB')


def _without_alpha(page: Any, count: int) -> list[int]:
    """Return the numbers of a file's bands except alpha, the last sample of a page."""
    samples = page.samplesperpixel
    has_alpha = samples > 1 and page.extrasamples[-1:] in [(value, ) for value in ALPHA]
    return [band for band in range(1, count + 1) if band % samples or not has_alpha]


def _microns(metadata: str) -> Pair | None:
    """Return the micrometres per pixel (y, x) that OME-XML gives; None if it does not."""
    pixels = ElementTree.fromstring(metadata).find('.//{*}Pixels')
    try:
        assert pixels is not None
        down, right = (float(pixels.attrib[f'PhysicalSize{axis}']) *
                       MICRONS[pixels.attrib.get(f'PhysicalSize{axis}Unit', 'µm')] for axis in 'YX')
    except (KeyError, ValueError):
        return None
    return (down, right) if min(down, right) > 0 else None

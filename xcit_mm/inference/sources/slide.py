"""Whole slides, such as SVS, NDPI and MRXS, through OpenSlide."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import UnreadableImageError
from .local_file import require_file
from .packages import require_package
from .pyramid import Pair, PyramidFile, choose_view
from .source import SOURCES, damaged_window
from .spectral_bands import in_order, require_bands

GENERIC = 'generic-tiff'  # OpenSlide's name for any tiled TIFF file


@SOURCES.register_module()
class SlideFile(PyramidFile):
    """A slide: the area that was scanned, if the file gives its bounds, as in QuPath. Bands 1 to 3 are RGB.

    Transparent pixels have no data. If the sizes of two levels have no whole ratio, OpenSlide shifts a level's rows by
    up to half a pixel of level 0.

    Args:
        path: a file in any format that OpenSlide reads.
        bands, as_stored, level, microns_per_pixel: see ``ReadOptions``.

    Raises:
        InputError: openslide is not installed, or an option does not suit the file; see ``choose_view``.
        UnreadableImageError: the file does not exist, is damaged, or OpenSlide cannot read it.
    """

    suffixes = ('.bif', '.mrxs', '.ndpi', '.scn', '.svs', '.svslide', '.vms', '.vmu')

    def __init__(self, path: Path, bands: Sequence[int] = (), as_stored: bool = False, level: int | None = None,
                 microns_per_pixel: float | None = None) -> None:
        self.file = open_slide(path)
        try:
            require_bands(bands, 3, path)
            self._corner, sizes = _scanned_area(self.file)
            view = choose_view(path, sizes, _microns(self.file), level, microns_per_pixel)
        except BaseException:
            self.file.close()
            raise
        tile_height = self.file.properties.get(f'openslide.level[{view.level}].tile-height')
        super().__init__(path, view, int(tile_height or 256), as_stored, has_mask=True)
        self._indexes = [band - 1 for band in in_order(bands or (1, 2, 3), as_stored)]
        self.bands = len(self._indexes)

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def read_piece(self, start: int, stop: int) -> np.ndarray:
        from openslide import OpenSlideError

        (top, left), level, width = self._corner, self.view.level, self.view.size[1]
        place = left, top + round(start * self.file.level_downsamples[level])
        try:
            return np.asarray(self.file.read_region(place, level, (width, stop - start)))  # RGBA
        except OpenSlideError as error:
            raise damaged_window(self.path, (start, stop), (0, width), error) from None

    def split(self, stored: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        return stored[..., self._indexes], stored[..., 3] > 0


def open_slide(path: Path) -> Any:
    """Open a slide with OpenSlide.

    Raises:
        InputError: openslide is not installed.
        UnreadableImageError: the file does not exist, or OpenSlide cannot read it.
    """
    require_package('openslide', f'reading {path}')
    require_file(path)
    from openslide import OpenSlide, OpenSlideError

    try:
        return OpenSlide(path)
    except OpenSlideError as error:
        raise UnreadableImageError(f'cannot read {path}: OpenSlide cannot open it ({error or "unknown format"})'
                                   ) from None


def slide_vendor(path: Path) -> str | None:
    """Return whose format a file has, in OpenSlide's words; None if OpenSlide does not recognise it.

    Raises:
        InputError: openslide is not installed.
    """
    require_package('openslide', f'choosing the resolution of {path}')
    from openslide import OpenSlide

    return OpenSlide.detect_format(path)


def _scanned_area(file: Any) -> tuple[tuple[int, int], list[tuple[int, int]]]:
    """Return the upper left corner of the scanned area (y, x), in pixels of level 0, and its size in each level."""
    sizes = [(height, width) for width, height in file.level_dimensions]
    names = [f'openslide.bounds-{name}' for name in ('y', 'x', 'height', 'width')]
    if any(name not in file.properties for name in names):
        return (0, 0), sizes
    top, left, height, width = (int(file.properties[name]) for name in names)
    bottom, right = min(top + height, sizes[0][0]), min(left + width, sizes[0][1])
    top, left = max(top, 0), max(left, 0)
    return (top, left), [(max(round((bottom - top) / step), 1), max(round((right - left) / step), 1))
                         for step in file.level_downsamples]


def _microns(file: Any) -> Pair | None:
    """Return the micrometres per pixel of level 0 (y, x); None if unknown."""
    try:
        down, right = (float(file.properties[f'openslide.mpp-{axis}']) for axis in 'yx')
    except (KeyError, ValueError):
        return None
    return (down, right) if min(down, right) > 0 else None

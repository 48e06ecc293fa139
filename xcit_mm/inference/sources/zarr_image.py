"""Images in Zarr folders: OME-Zarr (NGFF 0.4 and 0.5) and plain arrays."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .packages import require_package
from .pyramid import PyramidFile, choose_view
from .source import SOURCES, damaged_window
from .spectral_bands import in_order, require_bands, require_dtypes
from .zarr_metadata import find_levels, is_zarr, require_complete_chunks


@SOURCES.register_module()
class ZarrImage(PyramidFile):
    """An OME-Zarr image, whose channels are the bands, or an array (H, W) or (H, W, bands).

    A chunk that is not stored has the array's fill value, as Zarr defines.

    Args:
        path: a folder that holds a multiscale image or an array in Zarr format 2 or 3.
        bands, as_stored, level, microns_per_pixel: see ``ReadOptions``.

    Raises:
        InputError: zarr is not installed, or an option does not suit the image; see ``choose_view``.
        UnreadableImageError: the folder does not exist, holds something else, or is damaged.
    """

    suffixes = ('.zarr', )

    def __init__(self, path: Path, bands: Sequence[int] = (), as_stored: bool = False, level: int | None = None,
                 microns_per_pixel: float | None = None) -> None:
        require_package('zarr', f'reading {path}')
        pyramid = find_levels(path)
        self.axes = pyramid.axes
        sizes = [(array.shape[self.axes.index('y')], array.shape[self.axes.index('x')]) for array in pyramid.arrays]
        view = choose_view(path, sizes, pyramid.microns, level, microns_per_pixel)
        self.array = pyramid.arrays[view.level]
        count = self.array.shape[self.axes.index('c')] if 'c' in self.axes else 1
        require_bands(bands, count, path)
        require_dtypes([self.array.dtype.name], as_stored, path, 'convert it')
        super().__init__(path, view, self.array.chunks[self.axes.index('y')], as_stored,
                         has_mask=self.array.dtype.kind == 'f')
        self._indexes = [band - 1 for band in in_order(bands or range(1, count + 1), as_stored)]
        self.bands = len(self._indexes)

    @classmethod
    def reads_folder(cls, path: Path) -> bool:
        return path.suffix.lower() in cls.suffixes or is_zarr(path)

    def read_piece(self, start: int, stop: int) -> np.ndarray:
        width = self.view.size[1]
        try:
            return self._read_window(slice(start, stop), slice(0, width))
        except MemoryError:
            raise
        except Exception as error:  # the codecs raise many types
            across = self.array.chunks[self.axes.index('x')]
            for left in range(0, width, across):  # which of the chunks is it?
                columns = slice(left, min(left + across, width))
                try:
                    self._read_window(slice(start, stop), columns)
                except Exception as damage:
                    raise damaged_window(self.path, (start, stop), (columns.start, columns.stop), damage) from None
            raise damaged_window(self.path, (start, stop), (0, width), error) from None

    def _read_window(self, rows: slice, columns: slice) -> np.ndarray:
        """Read the chosen bands of a window: (rows, columns, bands)."""
        bands = sorted(set(self._indexes))
        parts: dict[str, Any] = dict(y=rows, x=columns, c=bands)
        selection = tuple(parts.get(axis, slice(0, 1)) for axis in self.axes)
        require_complete_chunks(self.path, self.array, selection)
        stored = np.asarray(self.array.oindex[selection])
        stored = np.expand_dims(stored, stored.ndim) if 'c' not in self.axes else stored
        axes = self.axes if 'c' in self.axes else f'{self.axes}c'
        stored = stored.transpose([axes.index(axis) for axis in 'yxc'] + [
            index for index, axis in enumerate(axes) if axis not in 'yxc'])
        pixels = stored.reshape(*stored.shape[:3])[..., [bands.index(index) for index in self._indexes]]
        return pixels.astype(pixels.dtype.newbyteorder('='), copy=False)

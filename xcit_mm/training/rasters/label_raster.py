"""Labels from a raster of class indices, and the interface they share with polygons."""
from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ...errors import InputError
from ...inference.sources import Box, GeoReference, Source, open_raster, quiet, read_box

IGNORED = 255  # the label of pixels that count neither in the loss nor in scores
TOLERANCE = 0.01  # pixels by which the corners of two equal grids may differ


class Labels(Protocol):
    """The labels of one raster. An object holds no open file, so that worker processes can share it."""

    def read(self, box: Box) -> np.ndarray:
        """Return the labels of a part of the raster: (box height, box width) uint8, class indices or ``IGNORED``."""


class LabelRaster:
    """Labels from the only band of a raster on the same grid as the image.

    Args:
        path: a raster of class indices in any integer dtype. 255 and pixels without data are ignored.
        image: the image, open.
        classes: names of the classes.

    Raises:
        InputError: the raster has several bands or no integers, or its size, CRS or position differ from the image's.
    """

    def __init__(self, path: Path, image: Source, classes: Sequence[str]) -> None:
        self.path, self.classes = path, classes
        with quiet(), open_raster(path) as file:
            if file.count != 1 or not np.issubdtype(np.dtype(file.dtypes[0]), np.integer):
                raise InputError(f'cannot use {path} as labels: it has {file.count} bands of {file.dtypes[0]}, but '
                                 'must have one band of integers, the class indices')
            _require_same_grid(file, path, image)

    def read(self, box: Box) -> np.ndarray:
        """Return the labels of a part; see ``Labels``.

        Raises:
            InputError: a label has no class, or a part of the file is damaged.
        """
        with open_raster(self.path) as file:
            values = read_box(file, self.path, partial(file.read, 1), box)
            labelled = (read_box(file, self.path, partial(file.read_masks, 1), box) > 0) & (values != IGNORED)
        known = labelled & (values >= 0) & (values < len(self.classes))
        if len(wrong := np.unique(values[labelled & ~known])):
            raise InputError(f'cannot use {self.path} as labels: {", ".join(map(str, wrong[:9]))} at rows {box.top} to '
                             f'{box.bottom} and columns {box.left} to {box.right} is not the index of a class (0 … '
                             f'{len(self.classes) - 1}); use 255 for pixels without a label')
        labels = np.full(values.shape, IGNORED, np.uint8)
        labels[known] = values[known]
        return labels


def _require_same_grid(file: Any, path: Path, image: Source) -> None:
    from rasterio import CRS

    fault, place = '', image.georeference or GeoReference(None, (1.0, 0.0, 0.0, 0.0, 1.0, 0.0))
    crs, transform = CRS.from_wkt(place.crs) if place.crs else None, tuple(file.transform)[:6]
    if (file.height, file.width) != (image.height, image.width):
        fault = f'size is {file.width} x {file.height} instead of {image.width} x {image.height}'
    elif file.crs != crs:
        fault = f'CRS is {_name(file.crs)} instead of {_name(crs)}'
    elif _largest_shift(transform, place.transform, image.height, image.width) > TOLERANCE:
        fault = f'transform is {transform} instead of {place.transform}'
    if fault:
        raise InputError(f'cannot use {path} as labels of {image.path}: its {fault}; bring the labels to the grid of '
                         'the image, e.g. with gdalwarp -r near, or give polygons, which are reprojected')


def _largest_shift(one: Sequence[float], other: Sequence[float], height: int, width: int) -> float:
    """Return by how many pixels a corner of an image moves if one transform replaces another."""
    corners = np.array([(0, width, 0), (0, 0, height), (1, 1, 1)])
    first, second = (np.array([*transform, 0, 0, 1]).reshape(3, 3) for transform in (one, other))
    return float(np.abs(np.linalg.solve(second, first @ corners) - corners).max())


def _name(crs: Any) -> str:
    return crs.to_string()[:60] if crs else 'unknown'

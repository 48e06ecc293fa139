"""Images stored at several resolutions, such as whole slides."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ...errors import InputError
from ...ops.rows import bands as row_bands
from .area import area_means, taps
from .pieces import PiecewiseFile, piece_height
from .source import GeoReference
from .spectral_bands import to_tensor

SAME = 1.01  # a level whose pixels have the requested size to within 1 % is not resampled
Pair = tuple[float, float]  # of rows and columns
FULL: Pair = (1.0, 1.0)
MICRONS = {'µm': 1.0, 'um': 1.0, 'micrometer': 1.0, 'nm': 1e-3, 'nanometer': 1e-3, 'mm': 1e3, 'millimeter': 1e3,
           'cm': 1e4, 'centimeter': 1e4, 'm': 1e6, 'meter': 1e6, 'Å': 1e-4, 'angstrom': 1e-4}  # in units of length


class View(NamedTuple):
    """How to read a pyramid.

    Attributes:
        level: the level to read.
        size: its height and width, px.
        scale: pixels of the level per pixel of the result; ``FULL`` if it is not resampled.
        downsample: pixels of level 0 per pixel of the result.
        microns: micrometres per pixel of the result; None if unknown.
    """
    level: int
    size: tuple[int, int]
    scale: Pair
    downsample: Pair
    microns: Pair | None = None


class PyramidFile(PiecewiseFile):
    """One level of a pyramid, possibly resampled: (rows, W, bands). Its georeference is in pixels of level 0.

    Args:
        path: the file.
        view: from ``choose_view``.
        tile_height: of the level, px.
        as_stored: see ``ReadOptions``.
        has_mask: whether some pixels may have no data.
    """

    options = 'bands', 'as_stored', 'level', 'microns_per_pixel'

    def __init__(self, path: Path, view: View, tile_height: int, as_stored: bool, has_mask: bool) -> None:
        height, width = (max(round(size / scale), 1) for size, scale in zip(view.size, view.scale))
        super().__init__(path, height, width, view.size[0], piece_height(tile_height))
        self.view, self.as_stored, self.has_mask, self.microns = view, as_stored, has_mask, view.microns
        down, right = view.downsample
        if view.downsample != FULL:
            self.georeference = GeoReference(None, (right, 0.0, 0.0, 0.0, down, 0.0))
        # Resample only as many rows at once as need about one piece.
        self._step = max(int(self.piece_height / view.scale[0]), 1)

    def compute(self, start: int, stop: int) -> Tensor:
        return to_tensor(self._pixels_and_mask(start, stop)[0], self.as_stored)

    def valid(self, start: int, stop: int) -> Tensor | None:
        mask = self._pixels_and_mask(start, stop)[1] if self.has_mask else None
        return None if mask is None else torch.from_numpy(mask)

    def split(self, stored: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Split rows as stored into pixels (rows, W, bands) and, if some may have no data, a mask (rows, W) bool."""
        return stored, np.isfinite(stored).all(axis=2) if self.has_mask else None

    def _pixels_and_mask(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray | None]:
        if self.view.scale == FULL:
            return self.split(self.read_rows(start, stop))
        parts = [self._resample(start + first, start + last) for first, last in row_bands(stop - start, self._step)]
        masks = [mask for _, mask in parts if mask is not None]
        return np.concatenate([pixels for pixels, _ in parts]), np.concatenate(masks) if masks else None

    def _resample(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray | None]:
        (height, width), (down, right) = self.view.size, self.view.scale
        top, bottom = int(start * down), min(int(np.ceil(stop * down)), height)
        return area_means(*self.split(self.read_rows(top, bottom)), taps(start, stop, down, bottom, top),
                          taps(0, self.width, right, width))


def choose_view(path: Path, sizes: Sequence[tuple[int, int]], microns: Pair | None, level: int | None,
                microns_per_pixel: float | None) -> View:
    """Choose the level to read, and whether to resample it.

    Args:
        path: the file, for errors.
        sizes: height and width of each level, the finest first, px.
        microns: micrometres per pixel of level 0; None if unknown.
        level, microns_per_pixel: see ``ReadOptions``.

    Raises:
        InputError: the file lacks the level, does not give the size of its pixels, or has only larger ones.
    """
    steps = [(_downsample(sizes[0][0], height), _downsample(sizes[0][1], width)) for height, width in sizes]
    if microns_per_pixel is None:
        if not 0 <= (chosen := level or 0) < len(sizes):
            known = ', '.join(f'{number} ({width} x {height} px)' for number, (height, width) in enumerate(sizes))
            raise InputError(f'cannot read level {chosen} of {path}: its levels are {known}')
        return _view(chosen, sizes, FULL, steps[chosen], microns)
    if microns is None:
        raise InputError(f'cannot read {path} at {microns_per_pixel} microns per pixel: the file does not give the '
                         f'size of its pixels; choose a level instead (0 to {len(sizes) - 1})')
    wanted = microns_per_pixel / microns[0], microns_per_pixel / microns[1]
    for chosen in reversed(range(len(sizes))):
        scale = wanted[0] / steps[chosen][0], wanted[1] / steps[chosen][1]
        if 1 / SAME <= min(scale) and max(scale) <= SAME:
            return _view(chosen, sizes, FULL, steps[chosen], microns)
        if min(scale) >= 1:
            return _view(chosen, sizes, scale, wanted, microns)
    raise InputError(f'cannot read {path} at {microns_per_pixel} microns per pixel: its finest pixels measure '
                     f'{max(microns):g} microns; choose at least that, or level 0')


def _view(level: int, sizes: Sequence[tuple[int, int]], scale: Pair, downsample: Pair, microns: Pair | None) -> View:
    """Return a view, given the micrometres per pixel of level 0."""
    down, right = downsample
    return View(level, sizes[level], scale, downsample, microns and (down * microns[0], right * microns[1]))


def _downsample(full: int, reduced: int) -> float:
    """Return how many pixels of level 0 a pixel of another level covers: a whole number, if it explains the sizes."""
    whole = max(round(full / reduced), 1)
    return float(whole) if reduced in (full // whole, -(-full // whole)) else full / reduced

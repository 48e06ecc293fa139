"""What to read from a file."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import InputError


@dataclass(frozen=True)
class ReadOptions:
    """What to read from a file, and how.

    Attributes:
        bands: numbers of the bands to read, from 1, as in GDAL; by default, all except alpha.
        as_stored: keep the values and the order of the bands, as ``LoadImageFromFile(imdecode_backend='tifffile')``
            does; uint16 becomes int32, because torch supports few operations on uint16. Otherwise, do as
            ``LoadImageFromFile`` does by default: divide 16-bit values by 256, and return three bands last to first;
            if they are red, green and blue, the data preprocessor's ``bgr_to_rgb`` restores their order.
        level: level of a pyramid, from 0, the finest; default: 0.
        microns_per_pixel: size of the pixels to read, in micrometres, instead of a level.
    """
    bands: Sequence[int] = ()
    as_stored: bool = False
    level: int | None = None
    microns_per_pixel: float | None = None

    @property
    def is_scaled(self) -> bool:
        """Whether a level or the size of the pixels was chosen."""
        return self.level is not None or self.microns_per_pixel is not None

    def require_one_scale(self, path: Path) -> None:
        """Raise ``InputError`` if the options contradict each other, or no file can fulfil them."""
        if self.level is not None and self.microns_per_pixel is not None:
            raise InputError(f'cannot read {path}: choose either a level or microns per pixel, not both')
        if self.microns_per_pixel is not None and not 0 < self.microns_per_pixel < float('inf'):
            raise InputError(f'cannot read {path}: microns per pixel must be above 0, but got {self.microns_per_pixel}')

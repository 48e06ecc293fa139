"""The interface for pixel sources, and their registry."""
from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import ClassVar, NamedTuple

from mmengine.registry import Registry
from torch import Tensor

from ...errors import UnreadableImageError
from ...ops.rows import Rows

SOURCES = Registry('source of pixels')


class GeoReference(NamedTuple):
    """An image's location on Earth.

    Attributes:
        crs: the coordinate reference system in WKT; None if unknown.
        transform: (a, b, c, d, e, f), which map a position in pixels from the upper left corner of the image to
            coordinates in ``crs``: x = a * column + b * row + c and y = d * column + e * row + f.
    """
    crs: str | None
    transform: tuple[float, ...]


class Box(NamedTuple):
    """Rows [top, bottom) and columns [left, right) of an image."""
    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left


class Source(Rows, AbstractContextManager):
    """An image read from a file, top to bottom: (rows, W, 3) uint8, BGR, or (rows, W, bands).

    To make a subclass available for its suffixes, register it with ``@SOURCES.register_module()``; if several sources
    share a suffix, the one registered last is used.

    Args:
        path: the file.
        height, width: px.

    Attributes:
        suffixes: endings of file names, in lower case.
        options: the fields of ``ReadOptions`` that the class takes as keyword arguments.
        formats: formats that the source reads, as named by ``find_format``. The source is then chosen by a file's
            format, even if the suffix is that of another format. Empty if the source is chosen by suffix alone.
        bands: number of bands.
        georeference: None if the file has none.
        microns: micrometres per pixel (down, right); None if unknown.
    """

    suffixes: ClassVar[tuple[str, ...]]
    formats: ClassVar[tuple[str, ...]] = ()
    options: ClassVar[tuple[str, ...]] = ()
    bands: int = 3
    georeference: GeoReference | None = None
    microns: tuple[float, float] | None = None

    def __init__(self, path: Path, height: int, width: int) -> None:
        super().__init__(height, width)
        self.path = path

    @classmethod
    def reads_folder(cls, path: Path) -> bool:
        """Return whether a folder is an image that this source reads."""
        return False

    def __exit__(self, *_: object) -> None:
        """Close the file."""

    def valid(self, start: int, stop: int) -> Tensor | None:
        """Return which pixels of rows [start, stop) have data: (stop - start, W) bool; None if every pixel does.

        Unlike ``compute``, this method takes any rows in any order.
        """
        return None


def find_source(path: Path) -> type[Source] | None:
    """Return the source for a file's suffix or for a folder that is an image, or None if there is none."""
    kinds = reversed(SOURCES.module_dict.values())
    if path.is_dir():
        return next((kind for kind in kinds if kind.reads_folder(path)), None)
    return next((kind for kind in kinds if path.suffix.lower() in kind.suffixes), None)


def known_suffixes() -> list[str]:
    """Return the suffixes of all sources, sorted."""
    return sorted({suffix for kind in SOURCES.module_dict.values() for suffix in kind.suffixes})


def damaged_window(path: Path, rows: tuple[int, int], columns: tuple[int, int], reason: object) -> UnreadableImageError:
    """Return the error for a part of a file that cannot be read: rows and columns [start, stop)."""
    lines = str(reason).splitlines() or ['no reason given']
    return UnreadableImageError(f'cannot read {path}: the window of rows {rows[0]} to {rows[1]} and columns '
                                f'{columns[0]} to {columns[1]} is damaged or missing ({lines[0]})')

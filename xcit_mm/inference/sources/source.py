"""The interface for pixel sources, and their registry."""
from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from mmengine.registry import Registry

from ...errors import InputError
from ...ops.rows import Rows
from .formats import find_format
from .local_file import read_bytes

SOURCES = Registry('source of pixels')


class GeoReference(NamedTuple):
    """An image's location on Earth.

    Attributes:
        tags: GeoTIFF tags: code, dtype, count and value of each.
    """
    tags: tuple[tuple[int, int, int, Any], ...]


class Source(Rows, AbstractContextManager):
    """An image read from a file, top to bottom: (rows, W, 3) uint8, BGR.

    To make a subclass available for its suffixes, register it with ``@SOURCES.register_module()``; if several sources
    share a suffix, the one registered last is used.

    Args:
        path: the file.
        height, width: px.

    Attributes:
        suffixes: endings of file names, in lower case.
        formats: formats that the source reads, as named by ``find_format``. The source is then chosen by a file's
            format, even if the suffix is that of another format. Empty if the source is chosen by suffix alone.
        georeference: None if the file has none.
    """

    suffixes: ClassVar[tuple[str, ...]]
    formats: ClassVar[tuple[str, ...]] = ()
    georeference: GeoReference | None = None

    def __init__(self, path: Path, height: int, width: int) -> None:
        super().__init__(height, width)
        self.path = path

    def __exit__(self, *_: object) -> None:
        """Close the file."""


def find_source(path: Path) -> type[Source] | None:
    """Return the source for a file's suffix, or None if there is none."""
    return next((kind for kind in reversed(SOURCES.module_dict.values()) if path.suffix.lower() in kind.suffixes), None)


def open_source(path: Path) -> Source:
    """Open an image.

    Raises:
        InputError: no source reads files with this suffix.
        UnreadableImageError: the file does not exist, is damaged, or contains pixels that its source cannot read.
    """
    kind = find_source(path)
    if kind is None:
        raise InputError(f'cannot read {path}: the known suffixes are {", ".join(known_suffixes())}')
    if kind.formats:
        name = find_format(read_bytes(path, 32), str(path))
        kind = next(each for each in SOURCES.module_dict.values() if name in each.formats)
    return kind(path)  # type: ignore[call-arg]  # subclasses determine the size


def known_suffixes() -> list[str]:
    """Return the suffixes of all sources, sorted."""
    return sorted({suffix for kind in SOURCES.module_dict.values() for suffix in kind.suffixes})

"""TIFF files, read a few rows at a time."""
from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...errors import InputError, UnreadableImageError
from .local_file import require_file
from .packages import require_package
from .picture import to_8_bits
from .pieces import PiecewiseFile, piece_height
from .source import SOURCES
from .tiff_pages import color_space, require_grey_or_rgb, require_one_image, require_upright
from .tiff_segments import read_segments, segment_height

# Pixel scale, tie points, transformation, reference system, and GDAL's nodata value
GEO_TAGS = (33550, 33922, 34264, 34735, 42113)
DESCRIPTION = 270  # a tag
WORLD_FILES = ('.tfw', '.tifw', '.tiffw', '.wld')  # which give the location of the TIFF file beside them


@SOURCES.register_module()
class TiffFile(PiecewiseFile):
    """The image in a TIFF file; its overviews are skipped.

    Grey is converted to BGR, the first three of four bands are treated as RGB, and 16-bit values are divided by 256.

    Args:
        path: file in strips or tiles. A compressed file in a single strip is decoded as a whole.
        content: the file's bytes, if already read.
        ignore_orientation: read the pixels as they are stored, even if the file says that they are rotated.

    Raises:
        InputError: tifffile is not installed.
        UnreadableImageError: the file does not exist, is damaged, or holds pixels of an unsupported kind.
    """

    suffixes = ('.tif', '.tiff')
    formats = ('TIFF', )

    def __init__(self, path: Path, content: bytes | None = None, ignore_orientation: bool = False) -> None:
        self.file = open_tiff(path, content)
        try:
            with readable(path):
                self.page = page = self.file.pages.first
                require_grey_or_rgb(page, str(path))
                require_one_image(self.file, str(path))
                require_description(self.file, path)
                if not ignore_orientation:
                    require_upright(page, str(path))
        except BaseException:
            self.file.close()
            raise
        super().__init__(path, page.imagelength, page.imagewidth, page.imagelength, piece_height(segment_height(page)))

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def compute(self, start: int, stop: int) -> Tensor:
        return torch.from_numpy(self.read_rows(start, stop))

    def read_piece(self, start: int, stop: int) -> np.ndarray:
        with readable(self.path):
            return np.ascontiguousarray(self._to_bgr(read_segments(self.page, start, stop, self.path)))

    def _to_bgr(self, pixels: np.ndarray) -> np.ndarray:
        pixels = to_8_bits(pixels)
        if color_space(self.page) == 'MINISWHITE':
            pixels = 255 - pixels
        return np.repeat(pixels[..., :1], 3, axis=2) if pixels.shape[2] < 3 else pixels[..., 2::-1]


def open_tiff(path: Path, content: bytes | None = None) -> Any:
    """Open a file with tifffile; see ``TiffFile``."""
    require_package('tifffile', 'reading TIFF files')
    import tifffile

    if content is None:
        require_file(path)
    with readable(path):
        return tifffile.TiffFile(path if content is None else BytesIO(content))


def is_raster(path: Path) -> bool:
    """Return whether a TIFF file has a location on Earth or a nodata value.

    Raises:
        InputError: see ``TiffFile``.
    """
    with open_tiff(path) as file, readable(path):
        tags = file.pages.first.tags
        return any(tag in tags for tag in GEO_TAGS) or any(path.with_suffix(end).exists() for end in WORLD_FILES)


def is_tiled(path: Path) -> bool:
    """Return whether a TIFF file stores its first image in tiles.

    Raises:
        InputError: see ``TiffFile``.
    """
    with open_tiff(path) as file, readable(path):
        return bool(file.pages.first.is_tiled)


def require_description(file: Any, path: Path) -> None:
    """Reject a TIFF file whose description cannot be read, because that of an OME-TIFF says which channels it holds.

    Bio-Formats writes it at the end of the file, so it is missing if a download was interrupted.

    Args:
        file: from ``open_tiff``.
        path: the file, for the error.

    Raises:
        UnreadableImageError: see above.
    """
    page, tiff, content = file.pages.first, file.tiff, file.filehandle
    content.seek(page.offset)
    number, = struct.unpack(tiff.tagnoformat, content.read(tiff.tagnosize))
    entries = content.read(number * tiff.tagsize)
    codes = [code for code, in struct.iter_unpack(f'{tiff.byteorder}H{tiff.tagsize - 2}x', entries)]
    if DESCRIPTION in codes and DESCRIPTION not in page.tags:
        raise UnreadableImageError(f'cannot read {path}: it is damaged or incomplete: its description lies beyond the '
                                   'end of the file')


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn any exception from tifffile or its codecs into a one-line error about the file."""
    try:
        yield
    except (MemoryError, InputError):
        raise
    except Exception as error:
        reason = str(error).splitlines() or ['it is damaged']
        raise UnreadableImageError(f'cannot read {path}: {reason[0]}') from None

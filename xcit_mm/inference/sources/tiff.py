"""TIFF files, read a few rows at a time."""
from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...errors import InputError, UnreadableImageError
from .local_file import require_file
from .picture import to_8_bits
from .source import SOURCES, Source
from .tiff_pages import JPEG, color_space, require_grey_or_rgb, require_one_image, require_upright

CONTIGUOUS_ROWS = 256  # rows to read at once from a file that stores all of its pixels in one block
# Pixel scale, tie points, transformation, reference system, and GDAL's nodata value
GEO_TAGS = (33550, 33922, 34264, 34735, 42113)
WORLD_FILES = ('.tfw', '.tifw', '.tiffw', '.wld')  # which give the location of the TIFF file beside them


@SOURCES.register_module()
class TiffFile(Source):
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
                if not ignore_orientation:
                    require_upright(page, str(path))
        except BaseException:
            self.file.close()
            raise
        super().__init__(path, page.imagelength, page.imagewidth)
        self._pieces, self._rest = self._read_pieces(), np.empty((0, self.width, 3), np.uint8)

    def __exit__(self, *_: object) -> None:
        self._pieces.close()
        self.file.close()

    def compute(self, start: int, stop: int) -> Tensor:
        pieces, missing = [self._rest], stop - start - len(self._rest)
        while missing > 0:
            with readable(self.path):
                pieces.append(next(self._pieces))
            missing -= len(pieces[-1])
        rows = np.concatenate(pieces) if len(pieces) > 1 else self._rest
        self._rest = rows[stop - start:]
        return torch.from_numpy(rows[:stop - start])

    def _read_pieces(self) -> Generator[np.ndarray, None, None]:
        """Read one row of tiles or one strip at a time, from top to bottom: (rows, W, 3) BGR."""
        page, dtype = self.page, np.dtype(self.page.dtype)
        planes = page.samplesperpixel if page.planarconfig == 2 else 1  # each plane holds one band
        if page.is_contiguous:  # possibly one strip as large as the image
            stored, bands = dtype.newbyteorder(page.parent.byteorder), page.samplesperpixel // planes
            for start in range(0, self.height, CONTIGUOUS_ROWS):
                rows, row_size = min(CONTIGUOUS_ROWS, self.height - start), self.width * bands
                offsets = [page.dataoffsets[0] + (plane * self.height + start) * row_size * dtype.itemsize
                           for plane in range(planes)]
                yield self._to_bgr(np.concatenate([
                    self.file.filehandle.read_array(stored, rows * row_size, offset).reshape(rows, self.width, bands)
                    for offset in offsets], axis=2))
            return
        length = page.tilelength if page.is_tiled else min(page.rowsperstrip, self.height)
        across = -(-self.width // page.tilewidth) if page.is_tiled else 1
        per_plane = -(-self.height // length) * across
        segments = self._decode([plane * per_plane + first + column for first in range(0, per_plane, across)
                                 for plane in range(planes) for column in range(across)])
        for start in range(0, self.height, length):
            piece = np.zeros((min(length, self.height - start), self.width, page.samplesperpixel), dtype)
            for pixels, (band, _, _, left, _), _ in islice(segments, planes * across):
                if pixels is not None:  # a tile that is not stored is black
                    part = piece[:, left:left + pixels.shape[2], band:band + pixels.shape[3]]
                    part[:] = pixels[0, :part.shape[0], :part.shape[1]]
            yield self._to_bgr(piece)

    def _decode(self, order: list[int]) -> Iterator[tuple]:
        """Decode strips or tiles in a given order; ``TiffPage.segments`` does the same in file order."""
        page, options = self.page, dict(_fullsize=self.page.is_tiled)
        if int(page.compression) in JPEG:
            options |= dict(jpegtables=page.jpegtables, jpegheader=page.jpegheader)
        offsets, counts = ([values[index] for index in order] for values in (page.dataoffsets, page.databytecounts))
        for content, index in self.file.filehandle.read_segments(offsets, counts, order, sort=False,
                                                                 buffersize=1 << 24):
            yield page.decode(content, index, **options)

    def _to_bgr(self, pixels: np.ndarray) -> np.ndarray:
        pixels = to_8_bits(pixels)
        if color_space(self.page) == 'MINISWHITE':
            pixels = 255 - pixels
        return np.repeat(pixels[..., :1], 3, axis=2) if pixels.shape[2] < 3 else pixels[..., 2::-1]


def open_tiff(path: Path, content: bytes | None = None) -> Any:
    """Open a file with tifffile; see ``TiffFile``."""
    if find_spec('tifffile') is None:
        raise InputError("reading TIFF files needs tifffile: pip install 'xcit_mm[tiff]'")
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


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn any exception from tifffile or its codecs into a one-line error about the file."""
    try:
        yield
    except (MemoryError, UnreadableImageError):
        raise
    except Exception as error:
        reason = str(error).splitlines() or ['it is damaged']
        raise UnreadableImageError(f'cannot read {path}: {reason[0]}') from None

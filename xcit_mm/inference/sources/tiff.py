"""TIFF files that are read a few rows at a time."""
from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ...errors import InputError, MissingImageError, UnreadableImageError
from .source import SOURCES, GeoReference, Source

if TYPE_CHECKING:
    import tifffile

CONTIGUOUS_ROWS = 256  # rows to read at once from a file that stores its pixels contiguously
# Pixel scale, tie points, transformation, and the three tags of the coordinate reference system
GEO_TAGS = (33550, 33922, 34264, 34735, 34736, 34737)


@SOURCES.register_module()
class TiffFile(Source):
    """The first image of a TIFF file.

    Grey becomes BGR, an alpha channel is dropped, and 16 bits are divided by 256.

    Args:
        path: file stored in strips or tiles. A compressed file with a single strip is decoded as a whole.

    Raises:
        InputError: tifffile is not installed.
        UnreadableImageError: the file does not exist, is damaged, or holds pixels in an unsupported format.
    """

    suffixes = ('.tif', '.tiff')

    def __init__(self, path: Path) -> None:
        if find_spec('tifffile') is None:
            raise InputError("reading TIFF files by rows needs tifffile: pip install 'xcit_mm[tiff]'")
        import tifffile

        if not path.is_file():
            raise MissingImageError(f'no image file {path}')
        with _readable(path):
            self.file = tifffile.TiffFile(path)
        try:
            with _readable(path):
                self.page = page = self.file.pages.first
            _check(path, page)
        except BaseException:
            self.file.close()
            raise
        super().__init__(path, page.imagelength, page.imagewidth)
        tags = [tag for tag in map(page.tags.get, GEO_TAGS) if tag]
        self.georeference = GeoReference(tuple((tag.code, tag.dtype, tag.count, tag.value) for tag in tags)
                                         ) if tags else None
        self._pieces, self._rest = self._read_pieces(), np.empty((0, self.width, 3), np.uint8)

    def __exit__(self, *_: object) -> None:
        self._pieces.close()
        self.file.close()

    def compute(self, start: int, stop: int) -> Tensor:
        pieces, missing = [self._rest], stop - start - len(self._rest)
        while missing > 0:
            with _readable(self.path):
                pieces.append(next(self._pieces))
            missing -= len(pieces[-1])
        rows = np.concatenate(pieces) if len(pieces) > 1 else self._rest
        self._rest = rows[stop - start:]
        return torch.from_numpy(rows[:stop - start])

    def _read_pieces(self) -> Generator[np.ndarray, None, None]:
        """Read one row of tiles or one strip at a time, from top to bottom: (rows, W, 3) BGR."""
        page, dtype = self.page, np.dtype(self.page.dtype)
        if page.is_contiguous:  # possibly one strip as large as the image
            shape = self.width, page.samplesperpixel
            for start in range(0, self.height, CONTIGUOUS_ROWS):
                rows = min(CONTIGUOUS_ROWS, self.height - start)
                offset = page.dataoffsets[0] + start * shape[0] * shape[1] * dtype.itemsize
                stored = dtype.newbyteorder(page.parent.byteorder)
                flat = np.fromfile(self.path, stored, rows * shape[0] * shape[1], offset=offset)
                yield self._to_bgr(flat.reshape(rows, *shape))
            return
        tiles = page.segments(maxworkers=1, buffersize=1 << 24)
        across = -(-self.width // page.chunks[1])
        for start in range(0, self.height, page.chunks[0]):
            piece = np.zeros((min(page.chunks[0], self.height - start), self.width, page.samplesperpixel), dtype)
            for pixels, (*_, left, _), _ in islice(tiles, across):
                if pixels is not None:  # a missing tile is black
                    part = piece[:, left:left + pixels.shape[2]]
                    part[:] = pixels[0, :part.shape[0], :part.shape[1]]
            yield self._to_bgr(piece)

    def _to_bgr(self, pixels: np.ndarray) -> np.ndarray:
        if pixels.dtype.itemsize == 2:
            pixels = pixels >> 8
        pixels = pixels.astype(np.uint8, copy=False)
        if _colors(self.page) == 'MINISWHITE':
            pixels = 255 - pixels
        return np.repeat(pixels[..., :1], 3, axis=2) if pixels.shape[2] < 3 else pixels[..., 2::-1]


def _colors(page: tifffile.TiffPage) -> str:
    """Return the name of the colour space, or its number if tifffile does not know it."""
    return getattr(page.photometric, 'name', str(page.photometric))


def _check(path: Path, page: tifffile.TiffPage) -> None:
    """Raise ``UnreadableImageError`` unless a page holds upright 8-bit or 16-bit grey or RGB."""
    kind = page.dtype.kind if page.dtype else ''
    if page.bitspersample not in (8, 16) or kind != 'u' or page.planarconfig != 1 or not _has_known_colors(page):
        raise UnreadableImageError(
            f'cannot read {path} by rows: it holds {page.bitspersample}-bit {_colors(page)} in '
            f'{page.samplesperpixel} channels, but only 8-bit or 16-bit grey or RGB with interleaved channels is '
            'supported; convert it')
    orientation = page.tags.get('Orientation')
    if orientation is not None and orientation.value != 1:
        raise UnreadableImageError(f'cannot read {path} by rows: it is stored rotated or mirrored (orientation '
                                   f'{orientation.value}); store it upright')


def _has_known_colors(page: tifffile.TiffPage) -> bool:
    """Return whether a page decodes to grey or RGB, possibly with an alpha channel."""
    colors = _colors(page)
    if colors == 'YCBCR':
        return getattr(page.compression, 'name', '') in ('OJPEG', 'JPEG')  # these decode to RGB
    grey = colors in ('MINISWHITE', 'MINISBLACK') and page.samplesperpixel <= 2
    return grey or colors == 'RGB' and page.samplesperpixel in (3, 4)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn any exception from tifffile or its codecs into one line that names the file."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        reason = str(error).splitlines() or ['it is damaged']
        raise UnreadableImageError(f'cannot read {path}: {reason[0]}') from None

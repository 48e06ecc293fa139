"""TIFF files that are read and written a few rows at a time."""
from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import torch
from torch import Tensor

from ...errors import UnreadableImageError
from ...files import complete_file
from ..bands.rows import Rows

TILE = 256  # side of the tiles that are written, px
# GeoTIFF: pixel scale, tie points, transformation, and three tags for the reference system. Labels have the image's
# pixels, and so the image's place.
GEOREFERENCE = (33550, 33922, 34264, 34735, 34736, 34737)


class TiffRows(Rows):
    """The first image of a TIFF file as the network's input: (rows, W, 3) uint8, BGR.

    Grey becomes BGR, transparency is left out, 16 bits are divided by 256, as ``read_image`` does.

    Args:
        path: file in strips or tiles. A compressed one in a single strip is decoded as a whole.

    Raises:
        UnreadableImageError: a file that is not there or damaged, or pixels of another kind.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise UnreadableImageError(f'no image file {path}')
        with _readable(path):
            self.file = tifffile.TiffFile(path)
            self.page = page = self.file.pages.first
        orientation = page.tags.get('Orientation')
        kind = page.dtype.kind if page.dtype else ''
        colors = getattr(page.photometric, 'name', page.photometric)
        if page.bitspersample not in (8, 16) or kind != 'u' or page.planarconfig != 1 or not _is_known(page):
            raise UnreadableImageError(
                f'cannot read {path} by blocks: it holds {page.bitspersample} bits of {colors} in '
                f'{page.samplesperpixel} channels, and known are 8 or 16 of grey or RGB, channels side by side')
        if orientation is not None and orientation.value != 1:
            raise UnreadableImageError(f'cannot read {path} by blocks: it is stored turned or mirrored '
                                       f'(orientation {orientation.value}); store it upright')
        super().__init__(page.imagelength, page.imagewidth)
        self._blocks, self._rest = self._read_blocks(), np.empty((0, self.width, 3), np.uint8)

    def __enter__(self) -> TiffRows:
        return self

    def __exit__(self, *_: object) -> None:
        self._blocks.close()
        self.file.close()

    @property
    def georeference(self) -> list[tuple]:
        """The tags that say where on Earth the image is, as ``tifffile`` writes them."""
        tags = [tag for tag in map(self.page.tags.get, GEOREFERENCE) if tag]
        return [(tag.code, tag.dtype, tag.count, tag.value, True) for tag in tags]

    def compute(self, start: int, stop: int) -> Tensor:
        pieces, missing = [self._rest], stop - start - len(self._rest)
        while missing > 0:
            with _readable(self.path):
                pieces.append(next(self._blocks))
            missing -= len(pieces[-1])
        rows = np.concatenate(pieces) if len(pieces) > 1 else self._rest
        self._rest = rows[stop - start:]
        return torch.from_numpy(rows[:stop - start])

    def _read_blocks(self) -> Generator[np.ndarray, None, None]:
        """Rows of tiles, strips, or of a file that has neither, from top to bottom."""
        page, dtype = self.page, np.dtype(self.page.dtype)
        if page.is_contiguous:  # perhaps in one strip, as large as the image
            shape = self.width, page.samplesperpixel
            for start in range(0, self.height, TILE):
                rows = min(TILE, self.height - start)
                offset = page.dataoffsets[0] + start * shape[0] * shape[1] * dtype.itemsize
                stored = dtype.newbyteorder(page.parent.byteorder)
                flat = np.fromfile(self.path, stored, rows * shape[0] * shape[1], offset=offset)
                yield self._to_bgr(flat.reshape(rows, *shape))
            return
        segments = page.segments(maxworkers=1, buffersize=1 << 24)
        across = -(-self.width // page.chunks[1])
        for start in range(0, self.height, page.chunks[0]):
            block = np.zeros((min(page.chunks[0], self.height - start), self.width, page.samplesperpixel), dtype)
            for pixels, (*_, left, _), _ in islice(segments, across):
                if pixels is not None:  # an empty one is black
                    part = block[:, left:left + pixels.shape[2]]
                    part[:] = pixels[0, :part.shape[0], :part.shape[1]]
            yield self._to_bgr(block)

    def _to_bgr(self, pixels: np.ndarray) -> np.ndarray:
        if pixels.dtype.itemsize == 2:
            pixels = pixels >> 8
        pixels = pixels.astype(np.uint8, copy=False)
        if self.page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
            pixels = 255 - pixels
        return np.repeat(pixels[..., :1], 3, axis=2) if pixels.shape[2] < 3 else pixels[..., 2::-1]


def _is_known(page: tifffile.TiffPage) -> bool:
    """Whether a page's channels are grey or RGB, perhaps with transparency, when they are decoded."""
    if page.photometric == tifffile.PHOTOMETRIC.YCBCR:
        return page.compression in (tifffile.COMPRESSION.OJPEG, tifffile.COMPRESSION.JPEG)  # decoded to RGB
    grey = page.photometric in (tifffile.PHOTOMETRIC.MINISWHITE, tifffile.PHOTOMETRIC.MINISBLACK)
    return grey and page.samplesperpixel <= 2 or (
        page.photometric == tifffile.PHOTOMETRIC.RGB and page.samplesperpixel in (3, 4))


def write_labels(path: Path, bands: Iterable[Tensor], dtype: torch.dtype, image: TiffRows, palette: list) -> None:
    """Write a label map as it comes: a compressed TIFF in tiles, in the image's place on Earth.

    Args:
        path: appears complete, or not at all.
        bands: (rows, W) from top to bottom, class indices.
        dtype: of the bands: uint8, or int16, which is written as uint16.
        image: whose labels they are.
        palette: RGB of each class, 0 … 255: viewers show up to 256 classes in these colours.

    Raises:
        InputError: the file cannot be written.
    """
    stored: type[np.unsignedinteger] = np.uint16
    colors: dict[str, Any] = dict(photometric='minisblack')
    if dtype == torch.uint8:
        table = np.zeros((3, 256), np.uint16)
        table[:, :len(palette)] = np.array(palette, np.uint16).T * 257
        stored, colors = np.uint8, dict(photometric='palette', colormap=table)
    shape = image.height, image.width
    with complete_file(path) as file:
        tifffile.imwrite(file, _tiles(bands, stored), shape=shape, dtype=stored, tile=(TILE, TILE), compression='zlib',
                         bigtiff=image.height * image.width > 2**31, extratags=image.georeference, metadata=None,
                         maxworkers=1, **colors)


def _tiles(bands: Iterable[Tensor], dtype: type[np.unsignedinteger]) -> Iterator[np.ndarray]:
    rest: np.ndarray | None = None
    for band in bands:
        rows = band.numpy().astype(dtype)
        rest = rows if rest is None else np.concatenate((rest, rows))
        while len(rest) >= TILE:
            yield from _row_of_tiles(rest[:TILE])
            rest = rest[TILE:]
    if rest is not None and len(rest):
        yield from _row_of_tiles(rest)


def _row_of_tiles(rows: np.ndarray) -> Iterator[np.ndarray]:
    for left in range(0, rows.shape[1], TILE):
        tile = rows[:, left:left + TILE]
        yield np.pad(tile, [(0, TILE - side) for side in tile.shape])


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Say in one line what tifffile and its codecs raise about a file."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        reason = str(error).splitlines() or ['it is damaged']
        raise UnreadableImageError(f'cannot read {path}: {reason[0]}') from None

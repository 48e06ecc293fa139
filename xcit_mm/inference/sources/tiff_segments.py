"""Decode the strips and tiles of TIFF pages."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .source import damaged_window
from .tiff_pages import JPEG

CONTIGUOUS_ROWS = 256  # rows to read at once from a page that stores all of its pixels in one block


def segment_height(page: Any) -> int:
    """Return the height of a page's tiles or strips, px."""
    if page.is_contiguous:  # possibly one strip as large as the image
        return CONTIGUOUS_ROWS
    return int(page.tilelength if page.is_tiled else min(page.rowsperstrip, page.imagelength))


def read_segments(page: Any, start: int, stop: int, path: Path) -> np.ndarray:
    """Read rows [start, stop) of a page as stored: (stop - start, W, bands). A tile that is not stored is black.

    Args:
        page: a page of an open file.
        start: first row; a multiple of ``segment_height``.
        stop: end of the rows; another multiple, or the height of the page.
        path: the file, for errors.

    Raises:
        UnreadableImageError: a strip or tile is damaged; the message gives its window.
    """
    width, planes = page.imagewidth, page.samplesperpixel if page.planarconfig == 2 else 1  # each plane has one band
    if page.is_contiguous:
        return _read_contiguous(page, start, stop, planes)
    length = segment_height(page)
    assert start % length == 0, f'row {start} is inside a tile'
    across, down = -(-width // page.tilewidth) if page.is_tiled else 1, -(-page.imagelength // length)
    order = [(plane * down + row) * across + column for row in range(start // length, -(-stop // length))
             for plane in range(planes) for column in range(across)]
    options = dict(_fullsize=page.is_tiled)
    if int(page.compression) in JPEG:
        options |= dict(jpegtables=page.jpegtables, jpegheader=page.jpegheader)
    rows = np.zeros((stop - start, width, page.samplesperpixel), page.dtype)
    offsets, counts = ([values[index] for index in order] for values in (page.dataoffsets, page.databytecounts))
    for content, index in page.parent.filehandle.read_segments(offsets, counts, order, sort=False,
                                                               buffersize=1 << 24):
        try:
            pixels, (band, _, top, left, _), _ = page.decode(content, index, **options)
        except MemoryError:
            raise
        except Exception as error:  # the codecs raise many types
            row, column = divmod(index % (down * across), across)
            left, tile = column * page.tilewidth, page.tilewidth if page.is_tiled else width
            raise damaged_window(path, (row * length, min((row + 1) * length, page.imagelength)),
                                 (left, min(left + tile, width)), error) from None
        if pixels is not None:
            part = rows[top - start:top - start + length, left:left + pixels.shape[2], band:band + pixels.shape[3]]
            part[:] = pixels[0, :part.shape[0], :part.shape[1]]
    return rows


def _read_contiguous(page: Any, start: int, stop: int, planes: int) -> np.ndarray:
    dtype, file = np.dtype(page.dtype).newbyteorder(page.parent.byteorder), page.parent.filehandle
    bands, height = page.samplesperpixel // planes, page.imagelength
    row_size = page.imagewidth * bands
    offsets = [page.dataoffsets[0] + (plane * height + start) * row_size * dtype.itemsize for plane in range(planes)]
    parts = [file.read_array(dtype, (stop - start) * row_size, offset).reshape(-1, page.imagewidth, bands)
             for offset in offsets]
    return np.concatenate(parts, axis=2)

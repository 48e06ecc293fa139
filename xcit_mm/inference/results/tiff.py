"""Label maps as TIFF files, written a few rows at a time."""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...errors import InputError
from .record import result_file
from .sink import SINKS, ResultMeta, Sink

TILE = 256  # side, px


@SINKS.register_module(name='tiff')
class TiffLabels(Sink):
    """Write ``<name>_classes.tif``: a compressed, tiled TIFF with the image's georeference.

    With up to 256 classes, labels are 8-bit and come with a colour table; with more, they are 16-bit. Labels are
    written as they are computed, so the full map is never in memory.
    """

    summary = 'a tiled TIFF of class indices with a colour table and the georeference of the image'
    endings = ('_classes.tif', )

    def write_labels(self, folder: Path, bands: Iterable[Tensor], meta: ResultMeta) -> None:
        if find_spec('tifffile') is None:
            raise InputError("writing TIFF files needs tifffile: pip install 'xcit_mm[tiff]'")
        import tifffile

        stored: type[np.unsignedinteger] = np.uint16
        colors: dict[str, Any] = dict(photometric='minisblack')
        if meta.dtype == torch.uint8:
            table = np.zeros((3, 256), np.uint16)
            table[:, :len(meta.palette)] = np.array(meta.palette, np.uint16).T * 257
            stored, colors = np.uint8, dict(photometric='palette', colormap=table)
        tags = [(*tag, True) for tag in meta.georeference.tags] if meta.georeference else []
        with result_file(folder / f'{meta.name}_classes.tif') as file:
            tifffile.imwrite(
                file, _tiles(bands, stored), shape=(meta.height, meta.width), dtype=stored, tile=(TILE, TILE),
                compression='zlib', bigtiff=meta.height * meta.width > 2**31, extratags=tags, metadata=None,
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

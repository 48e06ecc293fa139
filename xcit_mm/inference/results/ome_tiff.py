"""Label maps as pyramidal OME-TIFF files, written a few rows at a time."""
from __future__ import annotations

import zlib
from array import array
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import numpy as np
from torch import Tensor

from .majority import most_frequent
from .pyramid import TILE, Level, finest_level, kept_bytes
from .record import result_file
from .sink import SINKS, ResultMeta, Sink

CLASSIC_BYTES = 1 << 31  # larger maps need BigTIFF


@SINKS.register_module(name='ome_tiff')
class OmeTiffLabels(Sink):
    """Write ``<name>_classes.ome.tif``: a pyramidal OME-TIFF, which QuPath, napari, OMERO and Fiji open.

    Each level is half as large as the one before, rounded up, and shows the most frequent class; the last one fits in a
    tile. With up to 255 classes, labels are 8-bit and come with a palette; with more, they are 16-bit. The file gives
    the size of the pixels, if it is known, and the names of the classes as key-value pairs. The full map is never in
    memory; compressed tiles wait in temporary files in the same folder.
    """

    summary = 'a pyramidal OME-TIFF of class indices with a palette and the size of the pixels'
    endings = ('_classes.ome.tif', )
    packages = ('tifffile', )

    def kept_bytes(self, width: int) -> int:
        return kept_bytes(width)

    def write_labels(self, folder: Path, bands: Iterable[Tensor], meta: ResultMeta) -> None:
        import tifffile

        dtype = np.dtype(np.uint8 if meta.nodata < 256 else np.uint16)
        with result_file(folder / f'{meta.name}_classes.ome.tif') as path, ExitStack() as files:
            levels = [TileFile(files.enter_context(TemporaryFile(dir=path.parent)))
                      for _ in range(finest_level(meta.height, meta.width) + 1)]
            finest = Level(len(levels) - 1, lambda level, column, row, labels: levels[level].add(labels),
                           partial(most_frequent, nodata=meta.nodata))
            for band in bands:
                finest.add(band.numpy().astype(dtype))
            finest.finish()
            target = files.enter_context(path.open('w+b'))  # tifffile ignores errors when it closes a file
            is_big = meta.height * meta.width * dtype.itemsize > CLASSIC_BYTES
            file = files.enter_context(tifffile.TiffWriter(target, ome=True, bigtiff=is_big))
            for number, level in enumerate(reversed(levels)):
                place = dict(subfiletype=1) if number else dict(subifds=len(levels) - 1, metadata=_metadata(meta))
                shape = [-(-size // 2**number) for size in (meta.height, meta.width)]
                file.write(level.tiles(), shape=shape, **place, **_tags(meta, dtype, 2**number))


class TileFile:
    """The compressed tiles of a level, in a file, because those of all levels arrive at once.

    Args:
        file: empty and open.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.lengths = file, array('Q')

    def add(self, labels: np.ndarray) -> None:
        """Add the next tile, row by row; one at the border may be smaller than ``TILE``."""
        missing = [(0, TILE - size) for size in labels.shape]
        tile = zlib.compress((np.pad(labels, missing, mode='edge') if np.any(missing) else labels).tobytes())
        self.file.write(tile)
        self.lengths.append(len(tile))

    def tiles(self) -> Iterator[bytes]:
        """Yield the tiles."""
        self.file.seek(0)
        for length in self.lengths:
            yield self.file.read(length)


def _metadata(meta: ResultMeta) -> dict[str, Any]:
    """Return what to say in OME-XML."""
    names = {str(index): name for index, name in enumerate(meta.classes)}
    more: dict[str, Any] = {}
    if meta.microns:
        for axis, size in zip('YX', meta.microns):
            more |= {f'PhysicalSize{axis}': size, f'PhysicalSize{axis}Unit': 'µm'}
    return dict(axes='YX', Name=Path(meta.name).name, Channel=dict(Name=['classes']), **more,
                MapAnnotation=dict(Namespace='xcit_mm/classes', Value={**names, str(meta.nodata): 'no data'}))


def _tags(meta: ResultMeta, dtype: np.dtype, downsample: int) -> dict[str, Any]:
    """Return arguments of tifffile for one level."""
    tags: dict[str, Any] = dict(dtype=dtype, tile=(TILE, TILE), compression='zlib', photometric='minisblack')
    if dtype == np.uint8:
        colors = np.zeros((3, 256), np.uint16)
        colors[:, :len(meta.palette)] = np.transpose(meta.palette) * 257
        tags |= dict(photometric='palette', colormap=colors)
    if meta.microns:
        down, right = (size * downsample for size in meta.microns)
        tags |= dict(resolution=(1e4 / right, 1e4 / down), resolutionunit='CENTIMETER')
    return tags

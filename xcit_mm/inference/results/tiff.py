"""Label maps as cloud-optimised GeoTIFF files, written a few rows at a time."""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from torch import Tensor

from ...errors import InputError
from ..sources import quiet
from .record import result_file
from .sink import SINKS, ResultMeta, Sink

TILE = 512  # side, px, as in GDAL's COG driver


@SINKS.register_module(name='tiff')
class TiffLabels(Sink):
    """Write ``<name>_classes.tif``: a cloud-optimised GeoTIFF in the place of the image.

    Overviews show the most frequent class of the pixels that they replace. With up to 255 classes, labels are 8-bit and
    come with a colour table; with more, they are 16-bit. Labels are written as they are computed, to a temporary file
    in the same folder, so the full map is never in memory.
    """

    summary = 'a cloud-optimised GeoTIFF of class indices with a colour table and the georeference of the image'
    endings = ('_classes.tif', )
    packages = ('rasterio', )

    def write_labels(self, folder: Path, bands: Iterable[Tensor], meta: ResultMeta) -> None:
        import rasterio
        import rasterio.shutil

        with result_file(folder / f'{meta.name}_classes.tif') as file, TemporaryDirectory(
                prefix='.labels_', dir=file.parent) as temporary, quiet():
            tiles = Path(temporary, 'tiles.tif')  # the overviews of a COG come before its pixels
            try:
                _write_tiles(tiles, bands, meta)
                rasterio.shutil.copy(
                    tiles, file, driver='COG', BLOCKSIZE=TILE, COMPRESS='DEFLATE', OVERVIEW_RESAMPLING='MODE',
                    BIGTIFF='IF_SAFER')
            except (rasterio.errors.RasterioError, rasterio.errors.CRSError) as error:
                raise InputError(f'cannot write {folder / f"{meta.name}_classes.tif"}: {error.__cause__ or error}'
                                 ) from None


def _write_tiles(path: Path, bands: Iterable[Tensor], meta: ResultMeta) -> None:
    import rasterio
    from rasterio.windows import Window

    dtype: type[np.unsignedinteger] = np.uint8 if meta.nodata < 256 else np.uint16
    place: dict[str, Any] = {}
    if meta.georeference:
        place = dict(crs=meta.georeference.crs, transform=rasterio.Affine(*meta.georeference.transform))
    with rasterio.open(path, 'w', driver='GTiff', width=meta.width, height=meta.height, count=1, dtype=dtype,
                       nodata=meta.nodata, tiled=True, blockxsize=TILE, blockysize=TILE, compress='deflate',
                       BIGTIFF='IF_SAFER', **place) as file:
        if dtype == np.uint8:
            file.write_colormap(1, {index: (*color, 255) for index, color in enumerate(meta.palette)})
        start = 0
        for rows in _rows_of_tiles(bands, dtype):
            file.write(rows, 1, window=Window(0, start, meta.width, len(rows)))
            start += len(rows)


def _rows_of_tiles(bands: Iterable[Tensor], dtype: type[np.unsignedinteger]) -> Iterator[np.ndarray]:
    """Cut bands into rows of tiles (TILE, W), so that each tile is compressed once; the last rows may be fewer."""
    rest: np.ndarray | None = None
    for band in bands:
        rows = band.numpy().astype(dtype)
        rest = rows if rest is None else np.concatenate((rest, rows))
        while len(rest) >= TILE:
            yield rest[:TILE]
            rest = rest[TILE:]
    if rest is not None and len(rest):
        yield rest

"""Write a map as a cloud-optimised GeoTIFF file, a few rows at a time."""
from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InputError
from ...files import scratch_folder
from ..sources import quiet
from .record import result_file
from .sink import ResultMeta

TILE = 512  # side, px, as in GDAL's COG driver
ONE_FILE = dict(GDAL_PAM_ENABLED=False)  # otherwise, what GeoTIFF cannot store goes to a second file, .aux.xml


class Tiles:
    """An open file that takes whole rows of tiles, so that each tile is compressed once.

    Args:
        file: an open rasterio dataset.
        path: for errors.

    Attributes:
        checksum: of all rows written so far.
    """

    def __init__(self, file: Any, path: Path) -> None:
        self.file, self.path = file, path
        self.rest = np.empty((0, file.width), file.dtypes[0])
        self.start = self.checksum = 0

    def add(self, rows: np.ndarray) -> None:
        """Add rows (n, W); those that do not fill a row of tiles wait in memory."""
        self.rest = np.concatenate((self.rest, rows.astype(self.rest.dtype)))
        while len(self.rest) >= TILE:
            self._write(self.rest[:TILE])
            self.rest = self.rest[TILE:]

    def finish(self) -> None:
        """Write the last rows."""
        if len(self.rest):
            self._write(self.rest)

    def _write(self, rows: np.ndarray) -> None:
        with writing(self.path):
            self.file.write(rows, 1, window=_rows_of_tiles(self.file, self.start))
        self.start += len(rows)
        self.checksum = zlib.crc32(rows.tobytes(), self.checksum)


def kept_bytes(width: int) -> int:
    """Return how many bytes of 8-bit rows wait in memory, with the copy made to append to them."""
    return 2 * TILE * width


def require_storable(meta: ResultMeta) -> None:
    """Raise ``InputError`` if GeoTIFF cannot store the image's CRS, such as that of a rotated pole."""
    import rasterio

    if meta.georeference is None or meta.georeference.crs is None:
        return
    crs = rasterio.CRS.from_wkt(meta.georeference.crs)
    with quiet(), rasterio.Env(**ONE_FILE), rasterio.MemoryFile() as memory:
        memory.open(driver='GTiff', width=1, height=1, count=1, dtype='uint8', crs=crs).close()
        with memory.open() as file:
            is_kept = file.crs == crs
    if not is_kept:
        raise InputError(f'cannot write {meta.name} as GeoTIFF, which cannot store its coordinate reference '
                         'system; reproject the image first, e.g. with gdalwarp -t_srs EPSG:4326')


@contextmanager
def cloud_optimised(path: Path, meta: ResultMeta, nodata: int, resampling: str, describe: Callable[[Any], None]
                    ) -> Iterator[Tiles]:
    """Yield ``Tiles``, and turn them into a cloud-optimised GeoTIFF file in the place of the image when the block ends.

    Args:
        path: of the file.
        meta: size and georeference.
        nodata: the value of pixels without data, up to 255 for 8-bit maps.
        resampling: how overviews are made, as GDAL names it.
        describe: called with the rasterio dataset, to add a colour table or the like.

    Raises:
        InputError: the file cannot be written.
    """
    import rasterio
    import rasterio.shutil

    options: dict[str, Any] = dict(width=meta.width, height=meta.height, dtype='uint8' if nodata < 256 else 'uint16')
    if meta.georeference:
        options |= dict(crs=meta.georeference.crs, transform=rasterio.Affine(*meta.georeference.transform))
    with result_file(path) as cog, scratch_folder(cog) as folder, quiet(), rasterio.Env(**ONE_FILE):
        raw = folder / 'tiles.tif'  # the overviews of a COG come before its pixels
        with writing(path):
            file = rasterio.open(raw, 'w', driver='GTiff', count=1, nodata=nodata, tiled=True, blockxsize=TILE,
                                 blockysize=TILE, compress='deflate', BIGTIFF='IF_SAFER', **options)
        try:
            with writing(path):
                describe(file)
            tiles = Tiles(file, path)
            yield tiles
            tiles.finish()
        finally:
            with writing(path):
                file.close()
        with writing(path):
            rasterio.shutil.copy(raw, cog, driver='COG', BLOCKSIZE=TILE, COMPRESS='DEFLATE', BIGTIFF='IF_SAFER',
                                 OVERVIEW_RESAMPLING=resampling)
        if not _holds(cog, tiles.checksum):  # GDAL ignores some errors when it closes a file
            raise InputError(f'cannot write {path}: the file is incomplete; the disk may be full')


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn GDAL's errors into an ``InputError`` that says which file cannot be written."""
    from rasterio._err import CPLE_BaseError
    from rasterio.errors import CRSError, RasterioError

    try:
        yield
    except (CPLE_BaseError, CRSError, OSError, RasterioError, SystemError) as error:  # SystemError: not known to GDAL
        raise InputError(f'cannot write {path}: {error.__cause__ or error}') from None


def _holds(path: Path, checksum: int) -> bool:
    """Return whether all pixels of a file can be read and have the given checksum."""
    import rasterio

    found = 0
    try:
        with rasterio.open(path) as file:
            for start in range(0, file.height, TILE):
                found = zlib.crc32(file.read(1, window=_rows_of_tiles(file, start)), found)
    except rasterio.errors.RasterioError:
        return False
    return found == checksum


def _rows_of_tiles(file: Any, start: int) -> Any:
    from rasterio.windows import Window

    return Window(0, start, file.width, min(TILE, file.height - start))

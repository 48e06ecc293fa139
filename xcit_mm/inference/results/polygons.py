"""Label maps as polygons: GeoPackage and GeoJSON."""
from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from torch import Tensor

from ...errors import InputError
from ..sources import GeoReference, quiet
from .outlines import Polygons, link
from .record import result_file
from .regions import Edges, complete_outlines, join
from .sink import SINKS, ResultMeta, Sink, background

EDGES_AT_ONCE = 1 << 19  # to link and write together
IN_PIXELS = GeoReference(None, (1.0, 0.0, 0.0, 0.0, 1.0, 0.0))


@SINKS.register_module(name='gpkg')
class GeoPackage(Sink):
    """Write ``<name>_classes.gpkg``: a polygon for each 4-connected region of a class, in the CRS of the image.

    Its attributes are ``class`` (index), ``name`` and ``area`` in square units of the CRS; without a georeference,
    coordinates are in pixels. Background (class 0, if it is black) and pixels without data have no polygons. Only the
    outlines of the regions that reach the current row are in memory.
    """

    summary = 'a GeoPackage of polygons with class, name and area'
    packages = 'pyogrio', 'shapely'
    endings = ('_classes.gpkg', )

    def write_labels(self, folder: Path, bands: Iterable[Tensor], meta: ResultMeta) -> None:
        import shapely
        from pyogrio.errors import DataLayerError, DataSourceError
        from pyogrio.raw import write

        place = meta.georeference or IN_PIXELS
        with result_file(folder / f'{meta.name}_classes.gpkg') as file, TemporaryDirectory(
                prefix='.polygons_', dir=file.parent) as temporary:
            target = Path(temporary, 'polygons.gpkg')  # SQLite adds files beside it
            try:
                _append(write, target, np.empty(0, object), [np.empty(0, np.int32), np.empty(0, object), np.empty(0)],
                        place)
                for polygons in polygonize(bands, meta):
                    names = np.array([meta.classes[label] for label in polygons.label.tolist()], object)
                    _append(write, target, shapely.to_wkb(_geometries(polygons, place)),
                            [polygons.label, names, polygons.pixels * _pixel_area(place)], place)
            except (DataSourceError, DataLayerError) as error:
                raise InputError(f'cannot write {folder / f"{meta.name}_classes.gpkg"}: {error}') from None
            os.replace(target, file)


@SINKS.register_module(name='geojson')
class GeoJson(Sink):
    """Write ``<name>_classes.geojson``: a polygon for each 4-connected region of a class.

    If the CRS of the image is known, coordinates are WGS 84 longitude and latitude, as RFC 7946 requires; otherwise
    they are in pixels. Properties are those of ``GeoPackage``, plus ``objectType`` and ``classification``, from which
    QuPath takes the name and colour of an annotation.
    """

    summary = 'a GeoJSON file of polygons with class, name and area, in WGS 84 or in pixels'
    endings = ('_classes.geojson', )
    packages = 'rasterio', 'shapely'

    def write_labels(self, folder: Path, bands: Iterable[Tensor], meta: ResultMeta) -> None:
        import shapely

        place = meta.georeference or IN_PIXELS
        with result_file(folder / f'{meta.name}_classes.geojson') as file, file.open('w', encoding='utf-8') as text:
            text.write('{"type": "FeatureCollection", "features": [')
            separator = '\n'
            for polygons in polygonize(bands, meta):
                geometries = shapely.orient_polygons(_geometries(polygons, place, in_wgs84=place.crs is not None))
                areas = (polygons.pixels * _pixel_area(place)).tolist()
                for label, area, geometry in zip(polygons.label.tolist(), areas, shapely.to_geojson(geometries)):
                    name = meta.classes[label]
                    properties = {'class': label, 'name': name, 'area': area, 'objectType': 'annotation',
                                  'classification': dict(name=name, color=list(meta.palette[label]))}
                    text.write(f'{separator}{{"type": "Feature", "geometry": {geometry}, '
                               f'"properties": {json.dumps(properties)}}}')
                    separator = ',\n'
            text.write('\n]}\n')


def polygonize(bands: Iterable[Tensor], meta: ResultMeta) -> Iterator[Polygons]:
    """Yield the polygons of all classes except background, in pixel coordinates.

    Args:
        bands: labels (rows, W), from top to bottom.
        meta: describes the labels.
    """
    parts: list[Edges] = []
    number = 0
    arrays = (band.numpy() for band in bands)
    for edges in complete_outlines(arrays, [meta.nodata, *background(meta.palette)]):
        if len(edges.label):
            # Each band numbers its regions from 0.
            offset = int(parts[-1].region.max()) + 1 if parts else 0
            parts.append(edges._replace(region=edges.region.astype(np.int64) + offset))
            number += len(edges.label)
        if number >= EDGES_AT_ONCE:
            yield link(join(parts))
            parts, number = [], 0
    if parts:
        yield link(join(parts))


def _geometries(polygons: Polygons, place: GeoReference, in_wgs84: bool = False) -> np.ndarray:
    """Return shapely polygons, moved from pixels to coordinates on Earth."""
    import shapely

    a, b, c, d, e, f = place.transform
    x, y = polygons.points.T.astype(np.float64)
    x, y = a * x + b * y + c, d * x + e * y + f
    if in_wgs84:
        from rasterio._err import CPLE_BaseError
        from rasterio.errors import CRSError
        from rasterio.warp import transform

        try:
            with quiet():
                x, y = map(np.asarray, transform(place.crs, 'OGC:CRS84', x, y))
        except (CPLE_BaseError, CRSError) as error:
            raise InputError(f'cannot write GeoJSON: the coordinates cannot be converted to WGS 84 ({error}); write a '
                             'GeoPackage instead, which keeps them') from None
    return np.asarray(shapely.from_ragged_array(shapely.GeometryType.POLYGON, np.stack((x, y), axis=1),
                                                (polygons.ring_starts, polygons.polygon_starts)))


def _pixel_area(place: GeoReference) -> float:
    a, b, _, d, e, _ = place.transform
    return abs(a * e - b * d)


def _append(write: Any, path: Path, geometries: np.ndarray, columns: list[np.ndarray], place: GeoReference) -> None:
    """Write polygons to a GeoPackage, creating it if needed."""
    write(path, geometries, columns, ['class', 'name', 'area'], layer='classes', driver='GPKG', geometry_type='Polygon',
          crs=place.crs, append=path.exists())

"""Label maps as polygons in GeoJSON."""
from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ...errors import InputError
from ..sources import GeoReference, quiet
from .part import Part
from .polygons import PolygonSink
from .record import result_file
from .sink import SINKS, ResultMeta

LONGEST_EDGE = 64  # px; an edge of this length bends by far less than a pixel


@SINKS.register_module(name='geojson')
class GeoJson(PolygonSink):
    """Write ``<name>_classes.geojson``: polygons; see ``PolygonSink``.

    If the CRS of the image is known, coordinates are WGS 84 longitude and latitude, as RFC 7946 requires; otherwise
    they are in pixels. Properties also include ``objectType`` and ``classification``, from which QuPath takes the name
    and colour of an annotation.
    """

    summary = 'a GeoJSON file of polygons with class, name and area, in WGS 84 or in pixels'
    endings = ('_classes.geojson', )
    packages = 'rasterio', 'shapely'

    def check(self, meta: ResultMeta) -> None:
        if meta.georeference and meta.georeference.crs:
            _to_wgs84(np.array([meta.georeference.transform[2::3]]), meta.georeference.crs)

    def write(self, folder: Path, parts: Iterable[Part], meta: ResultMeta) -> None:
        import shapely

        place = meta.georeference if meta.georeference and meta.georeference.crs else None
        with result_file(folder / f'{meta.name}_classes.geojson') as file, file.open('w', encoding='utf-8') as text:
            text.write('{"type": "FeatureCollection", "features": [')
            separator = '\n'
            for features in self.features(parts, meta):
                geometry = _on_earth(features.geometry, place) if place else features.geometry
                rows = zip(*(values.tolist() for values in features.columns.values()))
                for row, polygon in zip(rows, shapely.to_geojson(shapely.orient_polygons(geometry))):
                    properties = dict(zip(features.columns, row))
                    color = list(meta.palette[properties['class']])
                    properties |= dict(objectType='annotation',
                                       classification=dict(name=properties['name'], color=color))
                    text.write(f'{separator}{{"type": "Feature", "geometry": {polygon}, '
                               f'"properties": {json.dumps(properties)}}}')
                    separator = ',\n'
            text.write('\n]}\n')


def _on_earth(polygons: np.ndarray, place: GeoReference) -> np.ndarray:
    """Convert polygons to WGS 84. Long edges get more corners, because straight ones become curves."""
    import shapely

    a, _, _, d, _, _ = place.transform
    dense = shapely.segmentize(polygons, LONGEST_EDGE * float(np.hypot(a, d)))
    return np.asarray(shapely.transform(dense, lambda points: _to_wgs84(points, str(place.crs))))


def _to_wgs84(points: np.ndarray, crs: str) -> np.ndarray:
    """Convert coordinates (n, 2) to longitude and latitude."""
    from rasterio._err import CPLE_BaseError
    from rasterio.errors import CRSError
    from rasterio.warp import transform

    try:
        with quiet():
            return np.column_stack(transform(crs, 'OGC:CRS84', *points.T))
    except (CPLE_BaseError, CRSError) as error:
        raise InputError(f'cannot write GeoJSON: the coordinates cannot be converted to WGS 84 ({error}); write a '
                         'GeoPackage instead, which keeps them') from None

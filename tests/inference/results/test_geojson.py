"""GeoJSON holds polygons in WGS 84, or in pixels for QuPath."""
import json

import numpy as np
import pytest
import rasterio
import shapely
from polygon_maps import MAPS, RING, by_gdal, in_order, write
from rasters import CRS, TRANSFORM
from shapely.geometry import shape

from xcit_mm.errors import InputError
from xcit_mm.inference.results import GeoJson
from xcit_mm.inference.sources import GeoReference


def test_geojson_is_in_wgs_84(tmp_path):
    labels = MAPS['patches (31, 33)']
    features = json.loads(write(GeoJson, tmp_path, labels).read_text())['features']
    assert len(features) == len(by_gdal(labels))
    x, y = rasterio.warp.transform('EPSG:4326', CRS, *zip(*features[0]['geometry']['coordinates'][0]))
    inside = shapely.box(*rasterio.transform.array_bounds(*labels.shape, TRANSFORM)).buffer(1e-3)
    assert shapely.contains_xy(inside, x, y).all()
    geometries = [shape(feature['geometry']) for feature in features]
    assert all(polygon.exterior.is_ccw for polygon in geometries)  # as RFC 7946 requires
    assert sum(feature['properties']['area'] for feature in features) == 0.25 * (labels > 0).sum()


def test_long_edges_are_curves_in_wgs_84(tmp_path):
    place = GeoReference(rasterio.CRS.from_string(CRS).to_wkt(), (30.0, 0.0, 440720.0, 0.0, -30.0, 5600000.0))
    labels = np.repeat([[1], [2]], 3000, axis=1)
    upper, lower = (shape(each['geometry']) for each in json.loads(
        write(GeoJson, tmp_path, labels, place=place).read_text())['features'])
    x, y = rasterio.warp.transform(CRS, 'EPSG:4326', [440720.0 + 45000], [5600000.0 - 30])  # of the border
    middle, tenth = shapely.Point(x[0], y[0]), 3 / 111e3  # of a pixel, in degrees
    assert upper.exterior.distance(middle) < tenth and lower.exterior.distance(middle) < tenth


def test_geojson_in_pixels_is_read_by_qupath(tmp_path):
    features = json.loads(write(GeoJson, tmp_path, RING, place=None).read_text())['features']
    assert in_order((feature['properties']['class'], shape(feature['geometry'])) for feature in features) == in_order(
        by_gdal(RING, rasterio.Affine.identity()))
    properties, = (feature['properties'] for feature in features if feature['properties']['class'] == 2)
    assert properties == {
        'class': 2, 'name': 'forest', 'area': 1.0, 'objectType': 'annotation',
        'classification': dict(name='forest', color=[0, 128, 0])}


def test_coordinates_without_a_place_on_earth_are_refused_in_geojson(tmp_path):
    crs = 'LOCAL_CS["site",UNIT["metre",1]]'
    with pytest.raises(InputError, match='cannot be converted to WGS 84 .*; write a GeoPackage'):
        write(GeoJson, tmp_path, RING, place=GeoReference(crs, (1, 0, 0, 0, -1, 0)))
    assert not list(tmp_path.iterdir())

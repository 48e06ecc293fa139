"""Labels from rasters and polygons agree with each other and with their image, or the error says what differs."""
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import shapely
from rasterio.features import rasterize
from rasterio.transform import from_origin
from rasterio.warp import transform_geom
from rasters import CRS, TRANSFORM, draw_polygons, on_earth, random_bands, write_raster

from xcit_mm.errors import InputError
from xcit_mm.inference.sources import Box, RasterFile
from xcit_mm.training.rasters.label_polygons import LabelPolygons
from xcit_mm.training.rasters.label_raster import LabelRaster

SIZE, CLASSES = (301, 141), ('field', 'forest', 'water')
WHOLE = Box(0, SIZE[0], 0, SIZE[1])
PARTS = [WHOLE, Box(0, 7, 0, 9), Box(30, 94, 20, 84), Box(290, 301, 100, 141)]
POLYGONS = [[(-5, -7), (90.3, 4.4), (61.2, 130.7)], [(20, 20), (80, 20), (80, 80), (20, 80)],
            [(100.5, 200.2), (139.9, 250.1), (90.7, 299.6)]]


@pytest.fixture
def scene(tmp_path):
    return write_raster(tmp_path / 'scene.tif', random_bands())


def labels_of(kind, path, scene, *options):
    with RasterFile(scene, as_stored=True) as image:
        return kind(path, image, CLASSES, *options)


def drawn(polygons=POLYGONS, values=(2, 0, 1), outside=255):
    shapes = [on_earth(corners) for corners in polygons]
    return rasterize(zip(shapes, values), SIZE, outside, transform=TRANSFORM, dtype='uint8')


@pytest.mark.parametrize('attribute, values', [
    ('class', [2, 0, 1]), ('class', [2.0, 0.0, 1.0]), ('name', ['water', 'field', 'forest']),
    ('name', ['2', '0', '1'])], ids=str)
def test_polygons_equal_the_raster_of_their_classes(tmp_path, scene, attribute, values):
    expected = drawn()
    write_raster(tmp_path / 'labels.tif', expected[None])
    draw_polygons(tmp_path / 'labels.gpkg', POLYGONS, values, attribute)
    raster = labels_of(LabelRaster, tmp_path / 'labels.tif', scene)
    polygons = labels_of(LabelPolygons, tmp_path / 'labels.gpkg', scene, attribute)
    for box in PARTS:
        part = expected[box.top:box.bottom, box.left:box.right]
        assert np.array_equal(raster.read(box), part) and np.array_equal(polygons.read(box), part)


def test_pixels_outside_polygons_may_be_a_class(tmp_path, scene):
    draw_polygons(tmp_path / 'a.gpkg', POLYGONS, [2, 0, 1])
    labels = labels_of(LabelPolygons, tmp_path / 'a.gpkg', scene, 'class', 'forest')
    assert np.array_equal(labels.read(WHOLE), drawn(outside=1))
    with pytest.raises(InputError, match="no class 'sea'"):
        labels_of(LabelPolygons, tmp_path / 'a.gpkg', scene, 'class', 'sea')


@pytest.mark.parametrize('crs, name', [('EPSG:25832', 'a.gpkg'), ('OGC:CRS84', 'a.geojson'), ('EPSG:4326', 'a.shp')])
def test_polygons_are_reprojected(tmp_path, crs, name):
    place = dict(crs='EPSG:32632', transform=from_origin(440720, 5300000, 0.5, 0.5))
    scene = write_raster(tmp_path / 'scene.tif', random_bands(), **place)
    draw_polygons(tmp_path / 'here.gpkg', POLYGONS, [2, 0, 1], **place)
    geometries = pyogrio.raw.read(tmp_path / 'here.gpkg')[2]
    moved = [shapely.geometry.shape(transform_geom(place['crs'], crs, shapely.from_wkb(each).__geo_interface__))
             for each in geometries]
    pyogrio.raw.write(tmp_path / name, shapely.to_wkb(moved), [np.array([2, 0, 1])], ['class'], crs=crs,
                      geometry_type='Polygon')
    labels = labels_of(LabelPolygons, tmp_path / name, scene, 'class').read(WHOLE)
    assert (labels != drawn()).mean() < 1e-3  # where an edge passes through the centre of a pixel


def test_labels_without_data_are_ignored(tmp_path, scene):
    values = np.where(drawn() == 255, np.int16(-9999), drawn())
    path = write_raster(tmp_path / 'a.tif', values[None], nodata=-9999)
    assert np.array_equal(labels_of(LabelRaster, path, scene).read(WHOLE), drawn())


OTHER = dict(crs='EPSG:25832', transform=TRANSFORM)
SHIFTED = dict(crs=CRS, transform=from_origin(440720.25, 100000.0, 0.5, 0.5))


@pytest.mark.parametrize('bands, place, message', [
    (np.zeros((1, 300, 141), 'uint8'), dict(), 'its size is 141 x 300 instead of 141 x 301; bring the labels to'),
    (np.zeros((1, *SIZE), 'uint8'), OTHER, 'its CRS is EPSG:25832 instead of EPSG:32630'),
    (np.zeros((1, *SIZE), 'uint8'), dict(crs=None), 'its CRS is unknown instead of EPSG:32630'),
    (np.zeros((1, *SIZE), 'uint8'), SHIFTED, r'its transform is \(0.5, 0.0, 440720.25'),
    (np.zeros((3, *SIZE), 'uint8'), dict(), 'it has 3 bands of uint8, but must have one band of integers'),
    (np.zeros((1, *SIZE), 'float32'), dict(), 'it has 1 bands of float32'),
    (np.full((1, *SIZE), 7, 'uint8'), dict(), r'7 at rows 0 to 301 and .* is not the index of a class \(0 … 2\)')])
def test_a_label_raster_that_does_not_fit_is_refused(tmp_path, scene, bands, place, message):
    path = write_raster(tmp_path / 'a.tif', bands, **place)
    with pytest.raises(InputError, match=f'cannot use .*a.tif as labels.*{message}'):
        labels_of(LabelRaster, path, scene).read(WHOLE)


@pytest.mark.parametrize('polygons, values, options, message', [
    (POLYGONS, ['water', 'road', ''], dict(), "class has values that are not classes: 'road', 'no value'; the classes"),
    (POLYGONS, [0, 1, 3], dict(), "class has values that are not classes: '3'; the classes 0 … 2 are field, forest, w"),
    (POLYGONS, [0.5, 1, 2], dict(), "class has values that are not classes: '0.5'"),
    (POLYGONS, [0, 1, 2], dict(attribute='kind'), "no attribute 'class', only 'kind'; set class_attribute"),
    (POLYGONS, [0, 1, 2], dict(crs=None), 'the CRS of .*a.gpkg is unknown'),
    ([[(500, 0), (600, 0), (600, 50)]], [0], dict(), 'none of its 1 polygons lies on the image')])
def test_polygons_that_do_not_fit_are_refused(tmp_path, scene, polygons, values, options, message):
    path = draw_polygons(tmp_path / 'a.gpkg', polygons, values, **options)
    with pytest.raises(InputError, match=f'cannot use .*a.gpkg as labels.*{message}'):
        labels_of(LabelPolygons, path, scene, 'class')


def test_unusable_files_of_polygons_are_refused(tmp_path, scene):
    for name, message in (('none.gpkg', 'none.gpkg'), ('bad.geojson', 'cannot read .*bad.geojson')):
        (tmp_path / 'bad.geojson').write_text('{')
        with pytest.raises(InputError, match=message):
            labels_of(LabelPolygons, tmp_path / name, scene, 'class')
    path = draw_polygons(tmp_path / 'a.gpkg', POLYGONS, [0, 1, 2], layer='one')
    draw_polygons(path, POLYGONS, [0, 1, 2], layer='two', append=True)
    with pytest.raises(InputError, match=r'it has 2 layers \(one, two\)'):
        labels_of(LabelPolygons, path, scene, 'class')
    points = shapely.to_wkb([on_earth(POLYGONS[0]).centroid])
    pyogrio.raw.write(tmp_path / 'b.gpkg', points, [np.array([1])], ['class'], geometry_type='Point', crs=CRS)
    with pytest.raises(InputError, match='it contains Point; labels must be polygons'):
        labels_of(LabelPolygons, Path(tmp_path / 'b.gpkg'), scene, 'class')

"""Polygons traced band by band equal those that GDAL traces in the whole label map, one for each connected region."""
import json

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
import torch
from pyogrio.raw import read
from rasterio.features import shapes
from rasters import CRS, TRANSFORM
from shapely.geometry import shape

from xcit_mm.errors import InputError
from xcit_mm.inference.results import (
    PREDICTED,
    GeoJson,
    GeoPackage,
    Part,
    ResultMeta,
    build_sinks,
    polygons,
    regions,
)
from xcit_mm.inference.sources import GeoReference

PLACE = GeoReference(rasterio.CRS.from_string(CRS).to_wkt(), tuple(TRANSFORM)[:6])
CLASSES, PALETTE = ('background', 'field', 'forest', 'water'), [[0, 0, 0], [200, 200, 0], [0, 128, 0], [0, 0, 255]]
RING = np.pad(np.pad([[1, 1, 2], [1, 0, 1], [1, 1, 1]], 1), 1, constant_values=1)  # holes that touch at corners


def random_maps():
    random = np.random.default_rng(0)
    yield 'single pixel', np.array([[1]])
    yield 'rings', RING
    yield 'rows', np.arange(12)[:, None] % 4 * np.ones(9, int)
    yield 'comb', np.where(np.arange(30)[:, None] == 29, 1, np.arange(21) % 2)  # joined by its last row only
    for size in ((1, 40), (40, 1), (31, 33), (64, 50)):
        yield f'noise {size}', random.integers(0, 4, size)
        yield f'patches {size}', np.kron(random.integers(0, 3, size), np.ones((3, 4), int))
        yield f'islands {size}', (random.random(size) < 0.7) * 3


MAPS = dict(random_maps())


def write(kind, folder, labels, rows=7, place=PLACE, palette=PALETTE, **options):
    meta = ResultMeta('a', *labels.shape, CLASSES, palette, None, place)
    kind(**options).write(folder, map(Part, torch.from_numpy(labels).to(torch.uint8).split(rows)), meta)
    return folder / f'a{kind.endings[0]}'


def read_package(path):
    meta, _, geometries, columns = read(path)
    columns = dict(zip(meta['fields'], columns))
    return meta, shapely.from_wkb(geometries), columns


def by_gdal(labels, transform=TRANSFORM):
    """Return the class and the polygon of each region except background, traced in the whole map."""
    found = shapes(labels.astype(np.uint8), mask=labels > 0, connectivity=4, transform=transform)
    return [(int(label), shape(polygon)) for polygon, label in found if label != 255]


def in_order(pairs):
    return sorted((label, shapely.normalize(polygon).wkt) for label, polygon in pairs)


@pytest.mark.parametrize('rows', [1, 7, 100])
@pytest.mark.parametrize('name', MAPS)
def test_polygons_equal_those_of_gdal(tmp_path, monkeypatch, name, rows):
    monkeypatch.setattr(polygons, 'EDGES_AT_ONCE', 2000)
    monkeypatch.setattr(regions, 'PIXELS_AT_ONCE', 150)
    labels = MAPS[name]
    meta, geometries, columns = read_package(write(GeoPackage, tmp_path, labels, rows))
    expected = by_gdal(labels)
    assert in_order(zip(columns['class'].tolist(), geometries)) == in_order(expected)  # one for each region
    assert shapely.is_valid(geometries).all() and meta['crs'] == CRS
    np.testing.assert_allclose(columns['area'], shapely.area(geometries), rtol=1e-12)
    for label in (1, 2, 3):
        area = columns['area'][columns['class'] == label].sum()
        assert area == pytest.approx(sum(polygon.area for value, polygon in expected if value == label), rel=1e-12)
        assert area == 0.25 * (labels == label).sum()
    assert [CLASSES[label] for label in columns['class']] == columns['name'].tolist()


def test_a_region_across_all_bands_is_one_polygon_with_its_holes(tmp_path):
    labels = np.ones((200, 90), int)
    labels[10:190:20, 10:80:9] = 2  # islands, some of which lie on both sides of a cut
    labels[5:195, 40] = 0  # a hole that spans the bands
    _, geometries, columns = read_package(write(GeoPackage, tmp_path, labels, rows=10))
    large, = geometries[columns['class'] == 1]
    assert (columns['class'] == 1).sum() == 1 and len(large.interiors) == 1 + 9 * 8
    assert (columns['class'] == 2).sum() == 9 * 8 and large.area == 0.25 * (labels == 1).sum()


def test_background_is_left_out_only_if_it_is_black_and_pixels_without_data_always(tmp_path):
    labels = np.array([[0, 1, 255], [0, 1, 255]])
    for palette, expected in ((PALETTE, [1]), ([[9, 9, 9], *PALETTE[1:]], [0, 1])):
        _, _, columns = read_package(write(GeoPackage, tmp_path, labels, palette=palette))
        assert sorted(columns['class'].tolist()) == expected


def test_a_map_of_background_gives_an_empty_file(tmp_path):
    empty = np.zeros((9, 9), int)
    assert pyogrio.read_info(write(GeoPackage, tmp_path, empty))['features'] == 0
    assert json.loads(write(GeoJson, tmp_path, empty).read_text()) == dict(type='FeatureCollection', features=[])


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


@pytest.mark.parametrize('kind', [GeoPackage, GeoJson])
def test_a_failed_write_leaves_no_file(tmp_path, kind):
    def bands():
        yield from torch.from_numpy(MAPS['noise (64, 50)']).to(torch.uint8).split(20)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kind().write(tmp_path, map(Part, bands()), ResultMeta('a', 64, 50, CLASSES, PALETTE, None, PLACE))
    assert not list(tmp_path.iterdir())


def test_only_outlines_that_reach_the_last_row_are_kept(monkeypatch):
    monkeypatch.setattr(regions, 'PIXELS_AT_ONCE', 100 * 20)
    sizes, add = [], regions.Tracer.add
    monkeypatch.setattr(regions.Tracer, 'add', lambda self, *rows: (add(self, *rows), sizes.append(self.open))[0])
    labels = np.kron(np.indices((60, 20)).sum(axis=0) % 2, np.ones((5, 5), int)).astype(np.uint8)
    edges = [part for part, _ in regions.complete_outlines([(labels, labels)])]
    assert len(sizes) == 16 and max(len(kept.region) for kept in sizes) < sum(len(part.region) for part in edges) / 5


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr('xcit_mm.inference.sources.packages.find_spec', lambda name: None)
    for name, words in (('gpkg', 'writing a GeoPackage of .* needs pyogrio'), ('tiff', 'needs rasterio'),
                        ('geojson', 'writing a GeoJSON file of .* needs rasterio')):
        with pytest.raises(InputError, match=f"{words}: pip install 'xcit_mm\\[geo\\]'"):
            build_sinks(['png', name])  # before anything is computed


def test_coordinates_without_a_place_on_earth_are_refused_in_geojson(tmp_path):
    crs = 'LOCAL_CS["site",UNIT["metre",1]]'
    with pytest.raises(InputError, match='cannot be converted to WGS 84 .*; write a GeoPackage'):
        write(GeoJson, tmp_path, RING, place=GeoReference(crs, (1, 0, 0, 0, -1, 0)))
    assert not list(tmp_path.iterdir())


def test_small_regions_are_left_out(tmp_path):
    labels = MAPS['patches (31, 33)']
    limit = 9.0  # square metres: three of the patches
    _, geometries, columns = read_package(write(GeoPackage, tmp_path, labels, min_area=limit))
    assert in_order(zip(columns['class'].tolist(), geometries)) == in_order(
        (label, polygon) for label, polygon in by_gdal(labels) if polygon.area >= limit)
    assert 0 < len(geometries) < len(by_gdal(labels)) and columns['area'].min() == limit


def mosaic(size=200, cells=25):
    """Return labels of cells with straight borders in all directions."""
    seeds = np.random.default_rng(0).uniform(0, size, (cells, 2))
    pixels = np.moveaxis(np.indices((size, size)), 0, -1)
    return np.linalg.norm(pixels[:, :, None] - seeds, axis=-1).argmin(axis=-1) % 3 + 1


@pytest.mark.parametrize('tolerance', [0.45, 0.9])  # 0.9 and 1.8 pixels
def test_simplified_neighbours_keep_their_common_border(tmp_path, monkeypatch, tolerance):
    labels = mosaic()
    labels[50:150, 60:63] = labels[20::40, 20::40] = 0  # holes, smaller and larger than the tolerance
    found = []
    for rows, edges in ((200, 1 << 19), (7, 300)):
        monkeypatch.setattr(polygons, 'EDGES_AT_ONCE', edges)
        _, geometries, columns = read_package(write(GeoPackage, tmp_path, labels, rows, simplify=tolerance))
        found.append(in_order(zip(columns['class'].tolist(), geometries)))
        assert shapely.coverage_is_valid(geometries) and shapely.is_valid(geometries).all()
    assert found[0] == found[1]
    _, exact, areas = read_package(write(GeoPackage, tmp_path, labels, 7))
    assert np.array_equal(areas['area'], columns['area'])  # of the pixels
    assert shapely.get_num_coordinates(geometries).sum() < shapely.get_num_coordinates(exact).sum() / 3
    distance = shapely.hausdorff_distance(exact, geometries)
    assert 0 < distance.max() <= tolerance


@pytest.mark.parametrize('name', MAPS)
def test_simplified_polygons_are_valid_and_complete(tmp_path, name):
    labels = MAPS[name]
    _, geometries, columns = read_package(write(GeoPackage, tmp_path, labels, simplify=2.0))
    assert len(geometries) == len(by_gdal(labels)) and shapely.is_valid(geometries).all()
    assert (shapely.area(geometries) > 0).all() and columns['area'].sum() == 0.25 * (labels > 0).sum()


def test_unusable_options_of_polygons_are_named():
    for name, value in (('min_area', -1), ('simplify', float('nan'))):
        with pytest.raises(InputError, match=f'{name} must be a number from 0, but got {value}'):
            build_sinks([{'type': 'gpkg', name: value}])
    with pytest.raises(InputError, match="cannot build the sink 'gpkg': .*'minimum'"):
        build_sinks([dict(type='gpkg', minimum=1)])


@pytest.mark.parametrize('rows', [1, 7, 100])
def test_scores_are_means_over_the_polygons(tmp_path, monkeypatch, rows):
    monkeypatch.setattr(polygons, 'EDGES_AT_ONCE', 2000)
    monkeypatch.setattr(regions, 'PIXELS_AT_ONCE', 150)
    labels = MAPS['patches (31, 33)'].astype(np.uint8)
    steps = np.random.default_rng(0).integers(0, 255, labels.shape, dtype=np.uint8)
    bands = zip(torch.from_numpy(labels).split(rows), torch.from_numpy(steps).split(rows))
    parts = [Part(band, {PREDICTED: values}) for band, values in bands]
    meta = ResultMeta('a', *labels.shape, CLASSES, PALETTE, None, None)
    sink = GeoJson(scores=True)
    assert sink.needed_classes(CLASSES) == [PREDICTED]
    sink.write(tmp_path, parts, meta)
    for feature in json.loads((tmp_path / 'a_classes.geojson').read_text())['features']:
        inside = rasterio.features.geometry_mask([feature['geometry']], labels.shape, rasterio.Affine.identity(),
                                                 invert=True)
        assert feature['properties']['score'] == pytest.approx(steps[inside].mean() / 254)

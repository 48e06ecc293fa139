"""Polygons traced band by band equal those that GDAL traces in the whole label map, one for each connected region."""
import json

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
import torch
from polygon_maps import CLASSES, MAPS, PALETTE, PLACE, by_gdal, in_order, read_package, write
from rasters import CRS

from xcit_mm.errors import InputError
from xcit_mm.inference.results import PREDICTED, GeoJson, GeoPackage, Part, ResultMeta, build_sinks, polygons, regions


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


def test_small_regions_are_left_out(tmp_path):
    labels = MAPS['patches (31, 33)']
    limit = 9.0  # square metres: three of the patches
    _, geometries, columns = read_package(write(GeoPackage, tmp_path, labels, min_area=limit))
    assert in_order(zip(columns['class'].tolist(), geometries)) == in_order(
        (label, polygon) for label, polygon in by_gdal(labels) if polygon.area >= limit)
    assert 0 < len(geometries) < len(by_gdal(labels)) and columns['area'].min() == limit


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

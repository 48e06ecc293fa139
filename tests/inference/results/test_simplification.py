"""Simplified polygons stay valid, and neighbours keep their common border."""
import numpy as np
import pytest
import shapely
from polygon_maps import MAPS, by_gdal, in_order, read_package, write

from xcit_mm.inference.results import GeoPackage, polygons


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

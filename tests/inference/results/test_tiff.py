"""Labels are written as cloud-optimised GeoTIFF files in the place of the image."""
import numpy as np
import pytest
import rasterio
import torch
from rasters import CRS, TRANSFORM
from rio_cogeo import cog_validate

from xcit_mm.errors import InputError
from xcit_mm.inference.results import Part, ResultMeta, TiffLabels, TiffProbabilities
from xcit_mm.inference.sources import GeoReference

PLACE = GeoReference(rasterio.CRS.from_string(CRS).to_wkt(), tuple(TRANSFORM)[:6])


def write(folder, labels, number=11, georeference=PLACE, rows=37):
    palette = np.random.default_rng(2).integers(1, 256, (number, 3)).tolist()
    meta = ResultMeta('b', *labels.shape, list(map(str, range(number))), palette, None, georeference)
    TiffLabels().write_labels(folder, torch.from_numpy(labels).to(meta.dtype).split(rows), meta)
    return folder / 'b_classes.tif', palette


@pytest.mark.parametrize('number', [11, 255, 256, 300])
def test_labels_have_colours_and_the_place_of_the_image(tmp_path, number):
    labels = np.random.default_rng(1).integers(0, number, (301, 141))
    labels[:20, :30] = 255 if number < 256 else 65535
    path, palette = write(tmp_path, labels, number)
    with rasterio.open(path) as file:
        assert np.array_equal(file.read(1), labels) and file.nodata == labels[0, 0]
        assert file.crs == rasterio.CRS.from_string(CRS) and file.transform == TRANSFORM
        assert np.array_equal(file.dataset_mask() > 0, labels != labels[0, 0])
        if number < 256:
            assert [file.colormap(1)[index][:3] for index in range(number)] == list(map(tuple, palette))


@pytest.mark.parametrize('size', [(30, 20), (1300, 1100), (513, 2000)])
@pytest.mark.parametrize('georeference', [PLACE, None])
def test_files_are_cloud_optimised(tmp_path, size, georeference):
    random = np.random.default_rng(0)
    labels = np.kron(random.integers(0, 11, (-(-size[0] // 8), -(-size[1] // 8))), np.ones((8, 8), int))
    labels = labels[:size[0], :size[1]]
    path, _ = write(tmp_path, labels, georeference=georeference)
    assert cog_validate(path, strict=True, quiet=True) == (True, [], [])
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ['.xcit_mm_results', 'b_classes.tif']
    with rasterio.open(path) as file:
        assert bool(file.overviews(1)) == (max(size) > 512)


def test_overviews_show_the_most_frequent_class(tmp_path):
    labels = np.zeros((1024, 1024), int)
    labels[1::2, 1::2] = 10  # a mean would be class 2
    labels[:, 512:] = 10 - labels[:, 512:]
    path, _ = write(tmp_path, labels)
    with rasterio.open(path, overview_level=0) as file:
        overview = file.read(1)
    assert overview.shape == (512, 512) and (overview[:, :256] == 0).all() and (overview[:, 256:] == 10).all()


def test_a_failed_write_leaves_no_file(tmp_path):
    def bands():
        yield torch.zeros(600, 700, dtype=torch.uint8)
        raise KeyboardInterrupt

    meta = ResultMeta('b', 1200, 700, ['a'], [[0, 0, 0]], None, PLACE)
    with pytest.raises(KeyboardInterrupt):
        TiffLabels().write_labels(tmp_path, bands(), meta)
    assert not list(tmp_path.iterdir())


def test_probabilities_are_scaled_and_their_overviews_show_means(tmp_path):
    steps = np.full((700, 600), 100, np.uint8)
    steps[::2, ::2], steps[:, 300:], steps[600:, 300:] = 180, 254, 255
    meta = ResultMeta('b', *steps.shape, ['road', 'tree / bush'], [[0, 0, 0], [1, 1, 1]], None, PLACE)
    parts = [Part(rows, {1: rows}) for rows in torch.from_numpy(steps).split(37)]
    TiffProbabilities(['tree / bush', 1]).write(tmp_path, parts, meta)
    path = tmp_path / 'b_probability_1_tree-bush.tif'
    assert cog_validate(path, strict=True, quiet=True) == (True, [], [])
    with rasterio.open(path) as file:
        assert np.array_equal(file.read(1), steps) and file.crs == rasterio.CRS.from_string(CRS)
        assert file.scales == pytest.approx([1 / 254]) and file.offsets == (0, ) and file.transform == TRANSFORM
        assert file.descriptions == ('probability of tree / bush', )
        assert np.array_equal(file.read_masks(1) == 0, steps == 255)
    with rasterio.open(path, overview_level=0) as file:
        overview = file.read(1)
    expected = np.full((350, 300), 120)
    expected[:, 150:], expected[300:, 150:] = 254, 255
    assert np.array_equal(overview, expected)


@pytest.mark.parametrize('crs, is_kept', [
    ('EPSG:2263', True), ('+proj=laea +lat_0=52 +lon_0=10 +ellps=GRS80', True),
    ('+proj=ob_tran +o_proj=longlat +o_lon_p=-162 +o_lat_p=39.25 +lon_0=180', False)],
                         ids=['feet', 'equal-area', 'pole'])
def test_a_crs_that_geotiff_cannot_store_is_refused_before_the_network_runs(tmp_path, crs, is_kept):
    place = PLACE._replace(crs=rasterio.CRS.from_string(crs).to_wkt())
    meta = ResultMeta('b', 1, 1, ['a'], [[0, 0, 0]], None, place)
    for sink in (TiffLabels(), TiffProbabilities(['a'])):
        if is_kept:
            sink.check(meta)
        else:
            with pytest.raises(InputError, match='cannot write b as GeoTIFF, which cannot store its coordinate'):
                sink.check(meta)
    path, _ = write(tmp_path, np.zeros((3, 4), int), georeference=place)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ['.xcit_mm_results', path.name]

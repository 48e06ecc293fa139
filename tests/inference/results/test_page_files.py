"""The files of a page: tiles of every level, and a folder that is complete or not there."""
import base64
import json
import re
import zlib

import numpy as np
import pytest
import rasterio
import torch
from PIL import Image
from rasters import CRS

from xcit_mm.errors import InputError
from xcit_mm.inference.results import ResultMeta, build_sinks, is_result, require_replaceable_results, write_labels
from xcit_mm.inference.results.majority import most_frequent
from xcit_mm.inference.results.page.page import mean_color
from xcit_mm.inference.results.page.pixel_size import pixel_size
from xcit_mm.inference.results.pyramid import finest_level
from xcit_mm.inference.sources import GeoReference

CLASSES, PALETTE = list('abcd'), [[0, 0, 0], [9, 9, 9], [90, 0, 0], [0, 90, 0]]


def write(folder, labels, image=None, rows=100, classes=CLASSES):
    image = np.zeros((*labels.shape, 3), np.uint8) if image is None else image
    palette = [PALETTE[index % 4] for index in range(len(classes))]
    meta = ResultMeta('a', *labels.shape, classes, palette, lambda: np.array_split(image, 7))
    write_labels(build_sinks(['page']), folder, torch.from_numpy(labels).to(meta.dtype).split(rows), meta)
    return folder / 'a_page'


def tile_map(folder, level, read):
    """Join the tiles of a level."""
    names = [tuple(map(int, path.stem.split('_'))) for path in (folder / str(level)).iterdir()]
    columns, rows = (max(numbers) + 1 for numbers in zip(*names))
    assert len(names) == columns * rows
    return np.concatenate([np.concatenate([read(level, column, row) for column in range(columns)], axis=1)
                           for row in range(rows)])


def label_reader(page, size, dtype='<u1'):
    def read(level, column, row):
        text = (page / f'labels/{level}/{column}_{row}.js').read_text()
        name, content = re.fullmatch(r'addTile\("(.*)", "(.*)"\);\n', text).groups()
        assert name == f'{level}/{column}_{row}'
        height = -(-size[0] // 2**(finest_level(*size) - level))
        values = np.frombuffer(zlib.decompress(base64.b64decode(content)), dtype)
        return values.reshape(min(512, height - 512 * row), -1)

    return read


@pytest.mark.parametrize('size', [(1, 1), (512, 512), (513, 1025), (1300, 700)], ids=str)
@pytest.mark.parametrize('rows', [1300, 37])
def test_tiles_of_every_level_make_the_map(tmp_path, size, rows):
    labels = np.random.default_rng(0).integers(0, 4, size)
    labels[:3] = 255
    page = write(tmp_path, labels, rows=rows)
    expected, finest = np.where(labels == 255, 4, labels), finest_level(*size)
    assert sorted(path.name for path in (page / 'labels').iterdir()) == sorted(map(str, range(finest + 1)))
    for level in reversed(range(finest + 1)):
        assert np.array_equal(tile_map(page / 'labels', level, label_reader(page, size)), expected)
        expected = most_frequent(expected, nodata=4)
    result = json.loads((page / 'result.js').read_text().removeprefix('const RESULT = ').removesuffix(';\n'))
    assert result['without_data'] == 3 * size[1] if size[0] > 3 else size[0] * size[1]
    assert {each['name']: each['pixels'] for each in result['classes']} == {
        name: (labels == index).sum() for index, name in enumerate(CLASSES) if (labels == index).any()}


def test_more_than_255_classes_take_16_bits(tmp_path):
    labels = np.random.default_rng(0).integers(0, 300, (600, 40))
    labels[0] = 65535
    page = write(tmp_path, labels, classes=list(map(str, range(300))))
    found = tile_map(page / 'labels', 1, label_reader(page, labels.shape, '<u2'))
    assert np.array_equal(found, np.minimum(labels, 300))


def test_tiles_of_the_image_show_means(tmp_path):
    grey = np.add.outer(np.linspace(0, 200, 700), np.arange(900) % 2 * 40)
    image = np.repeat(grey[..., None], 3, axis=2).astype(np.uint8)
    page = write(tmp_path, np.zeros((700, 900), int), image)
    for level in (1, 0):
        found = tile_map(page / 'image', level, lambda level, column, row: np.asarray(
            Image.open(page / f'image/{level}/{column}_{row}.jfif')).astype(int))
        assert found.shape == image.shape and np.abs(found - image).mean() < 4
        image = mean_color(image)


@pytest.mark.parametrize('block, expected', [
    ((1, 2, 3, 4), 1), ((1, 2, 2, 3), 2), ((3, 1, 2, 2), 2), ((3, 2, 1, 2), 2), ((1, 2, 2, 1), 1), ((2, 1, 1, 1), 1)])
def test_reduced_labels_are_the_most_frequent(block, expected):
    assert most_frequent(np.reshape(block, (2, 2)), nodata=9).tolist() == [[expected]]


@pytest.mark.parametrize('crs, meters', [(CRS, 1), ('EPSG:2263', 0.3048006096), ('EPSG:4326', None), (None, None)])
def test_the_size_of_a_pixel_is_known_in_projected_systems(crs, meters):
    half, high = 0.25, 0.5 * 3**0.5 / 2  # pixels of 0.5, turned by 30°
    turned = high, -half, 4e5, half, high, 1e5
    place = GeoReference(crs and rasterio.CRS.from_string(crs).to_wkt(), turned)
    found = pixel_size(ResultMeta('a', 1, 1, CLASSES, PALETTE, None, place))
    assert found == (meters and pytest.approx((0.5 * meters, 0.25 * meters**2)))
    microns = ResultMeta('a', 1, 1, CLASSES, PALETTE, None, None, (0.5, 0.25))
    assert pixel_size(microns) == pytest.approx((0.25e-6, 0.125e-12))


def test_a_page_replaces_only_an_unchanged_page(tmp_path):
    def check():
        require_replaceable_results(build_sinks(['page']), tmp_path, 'a', CLASSES)

    labels = np.zeros((30, 20), int)
    page = write(tmp_path, labels)
    assert is_result(page) and write(tmp_path, labels + 1) == page and is_result(page)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['.xcit_mm_results', 'a_page']
    check()
    for name, change in (('notes.txt', lambda path: path.write_text('mine')), ('page.css', lambda path: path.unlink())):
        change(page / name)
        for attempt in (check, lambda: write(tmp_path, labels)):
            with pytest.raises(InputError, match=f'cannot write {page}: this folder exists and is not an unchanged'):
                attempt()
        (page / name).unlink(missing_ok=True)
    assert not is_result(page)

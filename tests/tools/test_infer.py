"""Run tools/infer.py on images and folders."""

import numpy as np
import pytest
import rasterio
import torch
from messages import is_one_line
from PIL import Image
from pyogrio import read_info
from pyogrio.raw import read
from rasterio.features import shapes
from rasters import random_bands, write_raster

from xcit_mm.apis import init_model

TILES = dict(driver='GTiff', count=3, dtype='uint8', tiled=True, blockxsize=64, blockysize=64)
ADE20K, DIGITS = 'configs/xcit_upernet_ade20k.py', 'configs/xcit_upernet_digits.py'


def test_large_images_by_the_tool(run_here, capsys, tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    Image.fromarray(image).save(tmp_path / 'a.tif')
    torch.manual_seed(0)
    torch.save(init_model(DIGITS).state_dict(), tmp_path / 'weights.pth')
    labels = {}
    for mode in ('auto', 'whole', 'banded'):
        options = ['--mode', mode, '--max-memory', '9GB', '--full-resolution']
        assert run_here('infer', DIGITS, tmp_path / 'weights.pth', tmp_path / 'a.tif', '--out', tmp_path / mode,
                        *options) is None
        assert ('mode whole' if mode == 'whole' else 'mode banded') in capsys.readouterr().out
        labels[mode] = np.asarray(Image.open(tmp_path / mode / 'a_classes.png'))
    assert (labels['whole'] != labels['banded']).mean() < 0.01
    with rasterio.open(tmp_path / 'tiles.tif', 'w', **TILES, height=200, width=300) as file:
        file.write(image.transpose(2, 0, 1))
    arguments = [DIGITS, tmp_path / 'weights.pth', tmp_path / 'tiles.tif']
    assert run_here('infer', *arguments, '--out', tmp_path / 'rows') is None
    assert np.array_equal(np.asarray(Image.open(tmp_path / 'rows/tiles_classes.tif')), labels['banded'])
    assert 'not enough memory' in run_here('infer', DIGITS, tmp_path / 'weights.pth', tmp_path / 'a.tif', '--out',
                                           tmp_path / 'none', '--max-memory', '1MB')
    assert not [file for file in (tmp_path / 'none').rglob('*') if file.is_file()]


def test_an_image_that_cannot_be_read_leaves_the_others(run_here, capsys, tmp_path, scenes):
    torch.save(init_model(DIGITS).state_dict(), tmp_path / 'weights.pth')
    (tmp_path / 'images').mkdir()
    for name in ('00000.png', '00001.png'):
        (tmp_path / 'images' / name).symlink_to(scenes / 'images/val' / name)
    damaged = tmp_path / 'images/00000a.png'
    damaged.write_bytes((scenes / 'images/val/00000.png').read_bytes()[:40])
    arguments = ['infer', DIGITS, tmp_path / 'weights.pth', '--out', tmp_path / 'out']
    assert run_here(*arguments, tmp_path / 'images').startswith('error: cannot process 1 of 3 images')
    assert f'cannot read {damaged}: it is damaged' in capsys.readouterr().out
    assert [path.name for path in sorted((tmp_path / 'out').glob('*_classes.png'))] == [
        '00000_classes.png', '00001_classes.png']
    assert run_here(*arguments, damaged).startswith(f'error: cannot read {damaged}: it is damaged')


def test_results_replace_no_other_file_and_are_no_inputs(run_here, capsys, tmp_path, scenes):
    torch.save(init_model(DIGITS).state_dict(), tmp_path / 'weights.pth')
    folder = tmp_path / 'a'
    (folder / 'sub').mkdir(parents=True)
    image = (scenes / 'images/val/00000.png').read_bytes()
    for name in ('tile.png', 'other.png', 'sub/tile.png', '._tile.png'):
        (folder / name).write_bytes(image)
    (folder / 'folder.png').mkdir()
    (folder / 'tile_classes.png').write_bytes(image)  # the user's own file
    arguments = ['infer', DIGITS, tmp_path / 'weights.pth', folder, '--out', folder]
    for _ in range(2):
        assert run_here(*arguments).startswith('error: cannot process 1 of 3 images')
        assert 'tile_classes.png: this file exists' in ' '.join(capsys.readouterr().out.split())
        assert (folder / 'tile_classes.png').read_bytes() == image and not (folder / 'tile_overlay.png').exists()
        assert (folder / 'other_classes.png').exists() and (folder / 'tile_classes_classes.png').exists()
    (folder / 'tile_classes.png').unlink()
    for _ in range(2):
        assert run_here(*arguments, '--recursive', '--probabilities', '7', '0') is None
        assert '3 image(s)' in capsys.readouterr().out
    assert (folder / 'sub/tile_overlay.png').exists()
    assert np.asarray(Image.open(folder / 'sub/tile_probability_8_7.png')).dtype == np.uint16


def test_a_probability_of_an_unknown_class_is_named_before_the_work(run_here, tmp_path, scenes):
    torch.save(init_model(DIGITS).state_dict(), tmp_path / 'weights.pth')
    arguments = ['infer', DIGITS, tmp_path / 'weights.pth', scenes / 'images/val', '--out', tmp_path / 'out']
    assert "no class 'cat'; the classes" in run_here(*arguments, '--probabilities', 'cat')
    assert 'must be a local file' in run_here(*arguments[:3], 'https://example.org/a.png', '--out', tmp_path / 'out')
    assert 'not enough memory' in run_here(*arguments[:3], scenes / 'images/val/00000.png', '--out', tmp_path / 'out',
                                           '--mode', 'whole', '--max-memory', '1 MiB')


@pytest.mark.parametrize('kind', ['gpkg', 'geojson'])
def test_a_raster_gives_a_map_and_polygons(run_here, capsys, tmp_path, weights, kind):
    path = write_raster(tmp_path / 'a.tif', random_bands(5))
    options = ['--bands', '4', '3', '2', '--polygons', *([] if kind == 'gpkg' else [kind]),
               '--probabilities', '7']
    assert run_here('infer', DIGITS, weights, path, '--out', tmp_path / 'out', *options) is None
    assert sorted(file.name for file in (tmp_path / 'out').iterdir()) == [
        '.xcit_mm_finished', '.xcit_mm_results', f'a_classes.{kind}', 'a_classes.tif', 'a_overlay.png',
        'a_probability_8_7.tif']
    with rasterio.open(path) as image, rasterio.open(tmp_path / 'out/a_classes.tif') as labels:
        assert (labels.crs, labels.transform, labels.shape) == (image.crs, image.transform, image.shape)
        found = labels.read(1)
    regions = sum(label > 0 for _, label in shapes(found))
    assert read_info(tmp_path / f'out/a_classes.{kind}')['features'] == regions > 1


def test_a_picture_has_polygons_in_pixels(run_here, tmp_path, weights, scenes):
    path = scenes / 'images/val/00000.png'
    assert run_here('infer', DIGITS, weights, path, '--out', tmp_path, '--polygons', 'geojson') is None
    info = read_info(tmp_path / '00000_classes.geojson')
    width, height = Image.open(path).size
    left, top, right, bottom = info['total_bounds']
    assert info['features'] and 0 <= left < right <= width and 0 <= top < bottom <= height
    assert (tmp_path / '00000_overlay.png').exists()


def test_pages_of_pictures_and_rasters_are_no_inputs(run_here, capsys, tmp_path, weights, scenes):
    (tmp_path / 'a/sub').mkdir(parents=True)
    (tmp_path / 'a/sub/photo.png').write_bytes((scenes / 'images/val/00000.png').read_bytes())
    write_raster(tmp_path / 'a/raster.tif', random_bands())
    arguments = ['infer', DIGITS, weights, tmp_path / 'a', '--out', tmp_path / 'a', '--recursive', '--page']
    for _ in range(2):
        assert run_here(*arguments) is None
        assert '2 image(s)' in capsys.readouterr().out
    for name in ('raster_page', 'sub/photo_page'):
        files = {path.name for path in (tmp_path / 'a' / name).iterdir()}
        assert files >= {'index.html', 'image', 'labels', 'openseadragon-LICENSE.txt', 'result.js'}
    arguments[1] = 'configs/xcit_mask_rcnn_nuclei.py'
    assert is_one_line(run_here(*arguments), 'an option only for segmentors was given')


def test_polygons_are_simplified_and_scored(run_here, tmp_path, weights, scenes):
    path = scenes / 'images/val/00000.png'
    arguments = ['infer', DIGITS, weights, path, '--out', tmp_path, '--polygons']
    assert run_here(*arguments) is None
    every = read_info(tmp_path / '00000_classes.gpkg')['features']
    assert run_here(*arguments, '--min-area', '40', '--simplify', '1.5', '--polygon-scores') is None
    meta, _, _, columns = read(tmp_path / '00000_classes.gpkg')
    columns = dict(zip(meta['fields'], columns))
    assert 0 < len(columns['area']) < every and columns['area'].min() >= 40
    assert 0.1 < columns['score'].min() < columns['score'].max() <= 1
    assert is_one_line(run_here(*arguments, '--min-area', '-1'), 'min_area must be a number from 0, but got -1')
    assert is_one_line(run_here(*arguments[:-1], '--min-area', '1'), '--polygon-scores need --polygons')


def test_unusable_rasters_are_one_line(run_here, tmp_path, weights):
    path = write_raster(tmp_path / 'a.tif', random_bands(5))
    arguments = ['infer', DIGITS, weights, path, '--out', tmp_path / 'out']
    assert is_one_line(run_here(*arguments), f'{path}: 5 of its bands would be read, but the backbone expects 3',
                       '--bands 1 2 3')
    assert is_one_line(run_here(*arguments, '--bands', '7', '3', '2'), f'band 7 of {path}: its bands are 1 to 5')
    write_raster(path, random_bands().astype('int32'))
    assert is_one_line(run_here(*arguments), f'{path}: its values are int32')
    assert not [file for file in (tmp_path / 'out').rglob('*') if file.is_file()]

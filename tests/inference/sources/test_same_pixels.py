"""Training, inference and row-wise reading see the same pixels in a file, or reject it for the same reason."""
import re

import numpy as np
import pytest
from image_variants import DEEP, GREY, RGB, RGBN, RNG, VARIANTS, grey3, oriented, pillow, tiff
from mmengine.registry import init_default_scope
from PIL import Image
from segmentors import digits_config

from xcit_mm.errors import InputError
from xcit_mm.inference.pipeline import prepare_image
from xcit_mm.inference.sources import TiffFile, open_source, read_image
from xcit_mm.training.damaged_files import guard


@pytest.fixture(scope='module')
def config():
    config = digits_config()
    init_default_scope('mmseg')
    return config


def read_for_training(path, **loading):
    from mmseg.datasets import BaseSegDataset

    dataset = BaseSegDataset(data_prefix=dict(img_path=str(path.parent)), img_suffix=path.suffix,
                             pipeline=[dict(type='LoadImageFromFile', **loading)])
    guard(dataset)
    index, = (index for index in range(len(dataset)) if dataset.get_data_info(index)['img_path'] == str(path))
    return dataset[index]['img']


def read_by_rows(path):
    with open_source(path) as source:
        reader = source.reader()
        return np.concatenate([reader.read(start, min(start + 11, source.height)).numpy()
                               for start in range(0, source.height, 11)])


@pytest.mark.parametrize('name', VARIANTS)
def test_all_paths_see_the_same_pixels_or_the_same_reason(tmp_path, config, name):
    write, expected = VARIANTS[name]
    path = tmp_path / f'a.{name.split()[0]}'
    if path.suffix in ('.gif', '.jp2', '.macOS', '.empty'):
        path = tmp_path / 'a.png'
    write(path)
    readers = [read_image, read_for_training, read_by_rows,
               lambda path: prepare_image(config, path)['inputs'].permute(1, 2, 0).numpy()]
    if expected is None:
        expected = read_image(path)[..., ::-1]
    for read in readers:
        if isinstance(expected, str):
            with pytest.raises(InputError, match=f'^cannot read {re.escape(str(path))}: .*{expected}'):
                read(path)
        else:
            found = read(path)
            assert found.dtype == np.uint8 and np.array_equal(found, expected[..., ::-1])


def test_the_content_counts_rather_than_the_suffix(tmp_path):
    tiff(RGBN, extrasamples=['unassalpha'])(tmp_path / 'a.png')
    pillow(RGB)(tmp_path / 'b.tif')
    for path in (tmp_path / 'a.png', tmp_path / 'b.tif'):
        assert np.array_equal(read_image(path), RGB[..., ::-1]) and np.array_equal(read_by_rows(path), RGB[..., ::-1])


def test_bands_stay_as_stored_where_the_pipeline_asks_for_them(tmp_path, config):
    many = RNG.random((40, 35, 13), dtype=np.float32)
    tiff(many, photometric='minisblack', planarconfig='contig')(tmp_path / 'a.tif')
    tiff(np.moveaxis(many, 2, 0), photometric='minisblack', planarconfig='separate')(tmp_path / 'b.tif')
    for name in 'ab':
        assert np.array_equal(read_image(tmp_path / f'{name}.tif', imdecode_backend='tifffile'), many)
    assert np.array_equal(read_image(many, imdecode_backend='tifffile'), many)
    tiff(RGBN, extrasamples=['unassalpha'])(tmp_path / 'c.tif')
    assert np.array_equal(read_image(tmp_path / 'c.tif', 'unchanged'), RGBN[..., [2, 1, 0, 3]])
    assert read_image(tmp_path / 'c.tif', 'grayscale').shape == (40, 35)
    for name in 'ab':
        trained = read_for_training(tmp_path / f'{name}.tif', imdecode_backend='tifffile', to_float32=True)
        assert np.array_equal(trained, many)


@pytest.mark.parametrize('image, expected', [
    (GREY[..., None], grey3(GREY)), (RGBN[..., [2, 1, 0, 3]], RGB[..., ::-1]), (DEEP, (DEEP >> 8)),
    (DEEP[..., 0], grey3(DEEP[..., 0] >> 8)), (Image.fromarray(RGB), RGB[..., ::-1]),
    (Image.fromarray(RGBN), RGB[..., ::-1]), (Image.fromarray(GREY), grey3(GREY)),
    (Image.fromarray(DEEP[..., 0]), grey3(DEEP[..., 0] >> 8))], ids=lambda value: type(value).__name__)
def test_arrays_and_pillow_images_are_converted_as_files_are(image, expected):
    assert np.array_equal(read_image(image), expected)


def test_a_pillow_image_is_turned_as_its_file_is(tmp_path):
    oriented('PNG', 6)(tmp_path / 'a.png')
    assert np.array_equal(read_image(Image.open(tmp_path / 'a.png')), read_image(tmp_path / 'a.png'))
    with pytest.raises(InputError, match='mode F'):
        read_image(Image.fromarray(GREY.astype(np.float32)))


def test_the_limit_of_pixels_is_named(tmp_path, monkeypatch):
    pillow(RGB)(tmp_path / 'a.png')
    tiff(RGB)(tmp_path / 'a.tif')
    monkeypatch.setenv('OPENCV_IO_MAX_IMAGE_PIXELS', '1000')
    for path in tmp_path.iterdir():
        with pytest.raises(InputError, match='35 x 40 pixels, .* limit of 1000; set .*OPENCV_IO_MAX_IMAGE_PIXELS=1400'):
            read_image(path)
    with TiffFile(tmp_path / 'a.tif') as source:  # the limit does not apply to reading by rows
        assert source.height == 40


def test_pillows_limit_does_not_apply_to_images(tmp_path, monkeypatch):
    pillow(RGB)(tmp_path / 'a.png')
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 10)
    assert np.array_equal(read_image(tmp_path / 'a.png'), RGB[..., ::-1])


@pytest.mark.parametrize('path, words', [
    ('https://example.org/a.png', 'must be a local file; download it'), ('s3://b/a.tif', 'local file'),
    ('x' * 5000, 'File name too long')])
def test_paths_that_are_no_files_are_named(path, words):
    with pytest.raises(InputError, match=words):
        read_image(path)


def test_a_folder_as_an_image_is_named(tmp_path):
    with pytest.raises(InputError, match='it is a folder'):
        read_image(tmp_path)

"""Training, inference and reading by rows see the same pixels of a file, or refuse it for the same reason."""
import io
import re

import cv2
import numpy as np
import pytest
import tifffile
from mmengine.registry import init_default_scope
from PIL import Image
from segmentors import digits_config

from xcit_mm.errors import InputError
from xcit_mm.inference.pipeline import prepare_image
from xcit_mm.inference.sources import TiffFile, open_source, read_image
from xcit_mm.training.damaged_files import guard

RNG = np.random.default_rng(0)
SMOOTH = cv2.resize(RNG.integers(0, 256, (6, 5, 3), dtype=np.uint8), (35, 40), interpolation=cv2.INTER_CUBIC)
RGB = RNG.integers(0, 256, (40, 35, 3), dtype=np.uint8)
NIR, GREY, DEEP = RGB[..., ::2].max(2), RGB[..., 0], RNG.integers(0, 65536, (40, 35, 3), dtype=np.uint16)
RGBN = np.dstack([RGB, NIR])
ROTATED = (274, 3, 1, 6, True)


def tiff(pixels, **options):
    options = dict(photometric='rgb') | options
    return lambda path: tifffile.imwrite(path, pixels, **options)


def pillow(pixels, kind='PNG', mode=None, **options):
    def write(path):
        image = Image.fromarray(pixels)
        (image.convert(mode) if mode else image).save(path, kind, **options)

    return write


def opencv(pixels, suffix, parameters=()):
    return lambda path: path.write_bytes(cv2.imencode(suffix, pixels, list(parameters))[1].tobytes())


def oriented(kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return pillow(SMOOTH, kind, exif=exif, **dict(lossless=True) if kind == 'WEBP' else {})


def frames(kind):
    others = [Image.fromarray(255 - RGB)]
    return lambda path: Image.fromarray(RGB).save(path, kind, save_all=True, append_images=others)


def pages(path, **second):
    with tifffile.TiffWriter(path) as file:
        file.write(RGB, photometric='rgb')
        file.write(RGB[::2, ::2], photometric='rgb', **second)


def grey3(values):
    return np.repeat(values[..., None], 3, axis=2)


def cut(write, share):
    def write_part(path):
        write(path)
        content = path.read_bytes()
        path.write_bytes(content[:int(share * len(content))])

    return write_part


def turned(orientation):
    image = Image.fromarray(SMOOTH)
    operations = [None, 'FLIP_LEFT_RIGHT', 'ROTATE_180', 'FLIP_TOP_BOTTOM', 'TRANSPOSE', 'ROTATE_270', 'TRANSVERSE',
                  'ROTATE_90']
    name = operations[orientation - 1]
    return np.asarray(image.transpose(Image.Transpose[name]) if name else image)


def decoded(kind):
    """A lossy picture; what it holds is what OpenCV decodes."""
    content = io.BytesIO()
    Image.fromarray(SMOOTH).save(content, kind, quality=90)
    return cv2.imdecode(np.frombuffer(content.getvalue(), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


PLANES = np.moveaxis(RGB, 2, 0)
# name: how to write the file, and its pixels in RGB or words of the reason why it is refused
VARIANTS = {
    'tiff rgb': (tiff(RGB), RGB),
    'tiff strips': (tiff(RGB, rowsperstrip=7, compression='zlib'), RGB),
    'tiff tiles lzw predictor': (tiff(RGB, tile=(16, 16), compression='lzw', predictor=True), RGB),
    'tiff tiles': (tiff(RGB, tile=(32, 16)), RGB),
    'tiff deflate': (tiff(RGB, compression='deflate'), RGB),
    'tiff packbits': (tiff(RGB, compression='packbits'), RGB),
    'tiff zstd': (tiff(RGB, compression='zstd'), RGB),
    'tiff webp': (tiff(RGB, compression='webp', compressionargs=dict(lossless=True), tile=(16, 16)), RGB),
    'tiff jpeg 2000': (tiff(RGB, compression='jpeg2000', tile=(32, 32)), RGB),
    'tiff big': (tiff(RGB, bigtiff=True), RGB),
    'tiff big-endian': (tiff(RGB, byteorder='>'), RGB),
    'tiff big-endian 16 bits': (tiff(DEEP, byteorder='>'), DEEP >> 8),
    'tiff big-endian 16 bits zlib': (tiff(DEEP, byteorder='>', compression='zlib'), DEEP >> 8),
    'tiff planes': (tiff(PLANES, planarconfig='separate'), RGB),
    'tiff planes strips': (tiff(PLANES, planarconfig='separate', rowsperstrip=7), RGB),
    'tiff planes zlib': (tiff(PLANES, planarconfig='separate', rowsperstrip=7, compression='zlib'), RGB),
    'tiff planes tiles': (tiff(PLANES, planarconfig='separate', tile=(16, 16), compression='lzw'), RGB),
    'tiff planes 16 bits': (tiff(np.moveaxis(DEEP, 2, 0), planarconfig='separate'), DEEP >> 8),
    'tiff unassociated alpha': (tiff(RGBN, extrasamples=['unassalpha']), RGB),
    'tiff associated alpha': (tiff(RGBN, extrasamples=['assocalpha']), RGB),
    'tiff fourth band': (tiff(RGBN, extrasamples=['unspecified']), RGB),
    'tiff fourth band tiles': (tiff(RGBN, extrasamples=['unassalpha'], tile=(16, 16), compression='zlib'), RGB),
    'tiff fourth band planes': (tiff(np.moveaxis(RGBN, 2, 0), extrasamples=['unassalpha'], planarconfig='separate',
                                     rowsperstrip=9), RGB),
    'tiff fourth band 16 bits': (tiff(np.dstack([DEEP, DEEP[..., 0]]), extrasamples=['unassalpha']), DEEP >> 8),
    'tiff minisblack 3': (tiff(RGB, photometric='minisblack', planarconfig='contig'), RGB),
    'tiff minisblack 4': (tiff(RGBN, photometric='minisblack', planarconfig='contig'), RGB),
    'tiff minisblack 4 alpha': (tiff(RGBN, photometric='minisblack', planarconfig='contig',
                                     extrasamples=['unspecified'] * 2 + ['unassalpha']), RGB),
    'tiff minisblack 3 16 bits': (tiff(DEEP, photometric='minisblack', planarconfig='contig'), DEEP >> 8),
    'tiff minisblack 3 planes': (tiff(PLANES, photometric='minisblack', planarconfig='separate'), RGB),
    'tiff grey': (tiff(GREY, photometric='minisblack'), grey3(GREY)),
    'tiff grey 16 bits': (tiff(DEEP[..., 0], photometric='minisblack'), grey3(DEEP[..., 0] >> 8)),
    'tiff grey white is 0': (tiff(GREY, photometric='miniswhite'), grey3(255 - GREY)),
    'tiff grey 16 bits white is 0': (tiff(DEEP[..., 0], photometric='miniswhite'), grey3(255 - (DEEP[..., 0] >> 8))),
    'tiff grey alpha': (tiff(RGB[..., :2], photometric='minisblack', planarconfig='contig',
                             extrasamples=['unassalpha']), grey3(GREY)),
    'tiff two bands': (tiff(RGB[..., :2], photometric='minisblack', planarconfig='contig'), '2 bands'),
    'tiff 16 bits': (tiff(DEEP), DEEP >> 8),
    'tiff 16 bits of OpenCV': (opencv(DEEP[..., ::-1], '.tiff'), DEEP >> 8),
    'tiff of OpenCV': (opencv(RGB[..., ::-1], '.tiff'), RGB),
    'tiff of Pillow': (pillow(RGB, 'TIFF'), RGB),
    'tiff rgba of Pillow': (pillow(RGBN, 'TIFF'), RGB),
    'tiff overview': (lambda path: pages(path, subfiletype=1), RGB),
    'tiff two images': (pages, 'several images'),
    'tiff stack': (tiff(np.stack([GREY] * 5), photometric='minisblack'), 'several images'),
    'tiff stack ImageJ': (tiff(np.stack([GREY] * 5), photometric='minisblack', imagej=True), 'several images'),
    'tiff volume': (tiff(np.stack([RGB] * 2), volumetric=True, tile=(2, 16, 16)), 'several images'),
    'tiff five bands': (tiff(np.dstack([RGBN, NIR])), 'it holds 5 bands'),
    'tiff five bands minisblack': (tiff(np.dstack([RGBN, NIR]), photometric='minisblack', planarconfig='contig'),
                                   'it holds 5 bands'),
    'tiff int8': (tiff(GREY.astype(np.int8), photometric='minisblack'), 'it holds 8 bits, signed integers'),
    'tiff int16': (tiff(DEEP.astype(np.int16)), 'it holds 16 bits, signed integers'),
    'tiff uint32': (tiff(DEEP.astype(np.uint32)), 'it holds 32 bits, unsigned'),
    'tiff int32': (tiff(DEEP.astype(np.int32)), 'it holds 32 bits, signed'),
    'tiff float16': (tiff(RGB.astype(np.float16)), 'it holds 16 bits, floats'),
    'tiff float32': (tiff(RGB.astype(np.float32)), 'it holds 32 bits, floats'),
    'tiff float64': (tiff(RGB.astype(np.float64)), 'it holds 64 bits, floats'),
    'tiff complex': (tiff(GREY.astype(np.complex64), photometric='minisblack'), 'complex'),
    'tiff bilevel': (tiff(GREY > 99, photometric='minisblack'), 'it holds 1 bits'),
    'tiff palette': (tiff(GREY, photometric='palette', colormap=np.zeros((3, 256), np.uint16)), 'of PALETTE'),
    'tiff cmyk': (tiff(RGBN, photometric='separated'), 'of SEPARATED'),
    'tiff lab': (tiff(RGB, photometric='cielab'), 'of CIELAB'),
    'tiff rotated': (tiff(RGB, extratags=[ROTATED]), 'orientation 6'),
    'tiff cut': (cut(tiff(RGB, rowsperstrip=7, compression='zlib'), 0.7), ''),
    'png rgb': (pillow(RGB), RGB), 'png of OpenCV': (opencv(RGB[..., ::-1], '.png'), RGB),
    'png rgba': (pillow(RGBN), RGB), 'png grey': (pillow(GREY), grey3(GREY)),
    'png grey 16 bits': (pillow(DEEP[..., 0]), grey3(DEEP[..., 0] >> 8)),
    'png 16 bits': (opencv(DEEP[..., ::-1], '.png'), DEEP >> 8),
    'png rgba 16 bits': (opencv(np.dstack([DEEP[..., ::-1], DEEP[..., 0]]), '.png'), DEEP >> 8),
    'png grey alpha': (pillow(np.dstack([GREY, NIR])), grey3(GREY)),
    'png bilevel': (pillow(GREY > 99), grey3((GREY > 99) * np.uint8(255))),
    'png palette': (pillow(RGB // 128 * 255, mode='P'), RGB // 128 * 255),
    'png grey transparent': (pillow(GREY, transparency=7), grey3(GREY)),
    'png animated': (frames('PNG'), 'animated'), 'png cut': (cut(pillow(RGB), 0.6), 'damaged'),
    'jpeg': (pillow(SMOOTH, 'JPEG', quality=90), decoded('JPEG')),
    'jpeg grey': (pillow(GREY, 'JPEG', quality=100, subsampling=0), None),
    'jpeg cut': (cut(pillow(SMOOTH, 'JPEG'), 0.6), 'damaged'),
    'bmp': (pillow(RGB, 'BMP'), RGB), 'bmp rgba': (pillow(RGBN, 'BMP'), RGB),
    'bmp grey': (pillow(GREY, 'BMP'), grey3(GREY)),
    'bmp cut': (cut(pillow(RGB, 'BMP'), 0.6), 'damaged'),
    'webp': (pillow(RGB, 'WEBP', lossless=True), RGB),
    'webp lossy': (pillow(SMOOTH, 'WEBP', quality=90), decoded('WEBP')),
    'webp rgba': (pillow(RGBN, 'WEBP', lossless=True, exact=True), RGB),
    'webp animated': (frames('WEBP'), 'animated'),
    'webp cut': (cut(pillow(RGB, 'WEBP', lossless=True), 0.6), 'damaged'),
    **{f'png orientation {number}': (oriented('PNG', number), turned(number)) for number in range(1, 9)},
    **{f'webp orientation {number}': (oriented('WEBP', number), turned(number)) for number in (3, 6)},
    'gif': (pillow(GREY, 'GIF'), 'its format is GIF'), 'jp2': (pillow(RGB, 'JPEG2000'), 'its format is JPEG 2000'),
    'macOS': (lambda path: path.write_bytes(b'\0\x05\x16\x07' + bytes(80)), 'metadata of macOS'),
    'empty': (lambda path: path.touch(), 'damaged or not an image'),
}


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
    (Image.fromarray(DEEP[..., 0]), grey3(DEEP[..., 0] >> 8))], ids=str)
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
    with TiffFile(tmp_path / 'a.tif') as source:  # by rows, the size does not matter
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

"""Row-wise TIFF reading returns every pixel, whatever the file's internal layout; errors name unreadable files."""
import numpy as np
import pytest
import tifffile

from xcit_mm.errors import InputError
from xcit_mm.inference.sources import TiffFile, read_image


@pytest.fixture(scope='module')
def image():
    return np.random.default_rng(0).integers(0, 256, (301, 141, 3), dtype=np.uint8)


@pytest.mark.parametrize('layout', [
    dict(), dict(rowsperstrip=7), dict(rowsperstrip=7, compression='zlib'), dict(tile=(32, 64)), dict(byteorder='>'),
    dict(tile=(32, 64), compression='zlib', predictor=True), dict(tile=(16, 16), compression='lzw')], ids=str)
@pytest.mark.parametrize('kind', ['rgb', 'rgba', 'grey', 'rgb16'])
def test_every_pixel_arrives(tmp_path, image, layout, kind):
    pixels = dict(rgb=image, rgba=np.dstack((image, image[..., :1])), grey=image[..., 0],
                  rgb16=image.astype(np.uint16) << 8 | 77)[kind]
    photometric = 'minisblack' if kind == 'grey' else 'rgb'
    path, layout = tmp_path / 'a.tif', dict(layout)
    tifffile.imwrite(path, pixels, photometric=photometric, byteorder=layout.pop('byteorder', None), **layout)
    expected = np.repeat(image[..., :1], 3, axis=2) if kind == 'grey' else image[..., ::-1]
    rows = TiffFile(path)
    reader, ends = rows.reader(), [0, 1, 40, 41, 200, 301]
    read = [reader.read(start, stop).numpy() for start, stop in zip(ends, ends[1:])]
    assert np.array_equal(np.concatenate(read), expected)
    assert np.array_equal(read_image(path), expected)


@pytest.mark.parametrize('layout', [dict(rowsperstrip=1500), dict(rowsperstrip=3000), dict(tile=(2048, 16))], ids=str)
def test_strips_and_tiles_may_be_high(tmp_path, layout):
    pixels = np.random.default_rng(0).integers(0, 256, (3000, 8, 3), dtype=np.uint8)
    tifffile.imwrite(tmp_path / 'a.tif', pixels, photometric='rgb', compression='zlib', **layout)
    reader = TiffFile(tmp_path / 'a.tif').reader()
    read = [reader.read(start, min(start + 700, 3000)).numpy() for start in range(0, 3000, 700)]
    assert np.array_equal(np.concatenate(read), pixels[..., ::-1])


def test_white_may_be_0(tmp_path, image):
    tifffile.imwrite(tmp_path / 'a.tif', image[..., 0], photometric='miniswhite')
    assert np.array_equal(TiffFile(tmp_path / 'a.tif').reader().read(0, 301)[..., 1].numpy(), 255 - image[..., 0])


def test_jpegs_inside_are_decoded(tmp_path):
    image = np.broadcast_to(np.linspace(0, 255, 128, dtype=np.uint8)[:, None, None], (128, 96, 3)) // [1, 2, 4]
    tifffile.imwrite(tmp_path / 'a.tif', image.astype(np.uint8), photometric='rgb', compression='jpeg', tile=(64, 32))
    rows = TiffFile(tmp_path / 'a.tif')
    assert rows.page.photometric == tifffile.PHOTOMETRIC.YCBCR
    assert np.abs(rows.reader().read(0, 128).numpy() - image[..., ::-1]).max() < 8


@pytest.mark.parametrize('pixels, options, words', [
    (np.zeros((20, 20), np.float32), dict(photometric='minisblack'), 'holds 32 bits, floats'),
    (np.zeros((20, 20), np.uint8), dict(photometric='minisblack', bitspersample=4), 'holds 4 bits'),
    (np.zeros((20, 20, 5), np.uint8), dict(photometric='minisblack', planarconfig='contig'), 'holds 5 bands'),
    (np.zeros((20, 20, 3), np.uint8), dict(photometric='ycbcr', subsampling=(1, 1)), 'YCBCR that are not a JPEG'),
    (np.zeros((20, 20, 3), np.uint8), dict(photometric='rgb', extratags=[(274, 3, 1, 6, True)]), 'orientation 6')])
def test_other_pixels_are_named(tmp_path, pixels, options, words):
    tifffile.imwrite(tmp_path / 'a.tif', pixels, **options)
    with pytest.raises(InputError, match=f'a.tif: .*{words}'):
        TiffFile(tmp_path / 'a.tif')


def test_colours_that_nobody_knows_are_named(tmp_path, image):
    tifffile.imwrite(tmp_path / 'a.tif', image, photometric='rgb')
    with tifffile.TiffFile(tmp_path / 'a.tif', mode='r+b') as file:
        file.pages.first.tags['PhotometricInterpretation'].overwrite(60000)
    with pytest.raises(InputError, match='a.tif: it holds 3 bands of 60000'):
        TiffFile(tmp_path / 'a.tif')


def test_files_that_are_none_or_end_early_are_named(tmp_path, image):
    with pytest.raises(InputError, match='no image file'):
        TiffFile(tmp_path / 'none.tif')
    (tmp_path / 'text.tif').write_text('not an image')
    with pytest.raises(InputError, match='cannot read .*text.tif'):
        TiffFile(tmp_path / 'text.tif')
    for layout in (dict(rowsperstrip=20), dict(rowsperstrip=20, compression='zlib'), dict(tile=(32, 32))):
        path = tmp_path / 'cut.tif'
        tifffile.imwrite(path, image, photometric='rgb', **layout)
        with path.open('r+b') as file:
            file.truncate(path.stat().st_size // 2)
        with pytest.raises(InputError, match='cannot read .*cut.tif'):
            TiffFile(path).reader().read(0, 301)


def test_a_refused_file_is_closed(tmp_path):
    import psutil

    tifffile.imwrite(tmp_path / 'a.tif', np.zeros((20, 20), np.float32), photometric='minisblack')
    with pytest.raises(InputError):
        TiffFile(tmp_path / 'a.tif')
    assert not [file for file in psutil.Process().open_files() if file.path.startswith(str(tmp_path))]


def test_a_missing_package_is_named(tmp_path, image, monkeypatch):
    tifffile.imwrite(tmp_path / 'a.tif', image, photometric='rgb')
    monkeypatch.setattr('xcit_mm.inference.sources.packages.find_spec', lambda name: None)
    with pytest.raises(InputError, match="needs tifffile: pip install 'xcit_mm\\[tiff\\]'"):
        TiffFile(tmp_path / 'a.tif')

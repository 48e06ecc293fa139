"""TIFFs by blocks: every pixel arrives whatever the file's inner order, labels go out in tiles, in their place."""
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
import torch
from mmengine.config import Config

from xcit_mm.apis import inference_segmentor, init_model
from xcit_mm.errors import InputError
from xcit_mm.inference.blocks import segment_file
from xcit_mm.inference.modes import logits as segmentor
from xcit_mm.inference.sources.tiff import TiffRows, write_labels

CONFIG = Path(__file__).resolve().parents[3] / 'configs/xcit_upernet_digits.py'
SCALE, TIE, KEYS = (0.5, 0.5, 0.0), (0, 0, 0, 440720.0, 100000.0, 0), (1, 1, 0, 1, 3072, 0, 1, 32601)
NUMBERS, NAMES = (6378137.0, 298.25), 'WGS 84 / UTM 30N|WGS 84|'
PLACE = [(33550, 12, 3, SCALE, True), (33922, 12, 6, TIE, True), (34735, 3, 8, KEYS, True),
         (34736, 12, 2, NUMBERS, True), (34737, 2, len(NAMES) + 1, NAMES, True)]


@pytest.fixture(scope='module')
def image():
    return np.random.default_rng(0).integers(0, 256, (301, 141, 3), dtype=np.uint8)


@pytest.fixture(scope='module')
def model():
    torch.manual_seed(0)
    return init_model(CONFIG)


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
    rows = TiffRows(path)
    reader, ends = rows.reader(), [0, 1, 40, 41, 200, 301]
    read = [reader.read(start, stop).numpy() for start, stop in zip(ends, ends[1:])]
    assert np.array_equal(np.concatenate(read), expected)
    if kind != 'rgba':  # as whole files are read, but for OpenCV's rounding of 16 bits
        whole = cv2.imread(str(path)).astype(int)
        assert np.abs(whole - expected).max() <= (kind == 'rgb16')


def test_white_may_be_0(tmp_path, image):
    tifffile.imwrite(tmp_path / 'a.tif', image[..., 0], photometric='miniswhite')
    assert np.array_equal(TiffRows(tmp_path / 'a.tif').reader().read(0, 301)[..., 1].numpy(), 255 - image[..., 0])


def test_jpegs_inside_are_decoded(tmp_path):
    image = np.broadcast_to(np.linspace(0, 255, 128, dtype=np.uint8)[:, None, None], (128, 96, 3)) // [1, 2, 4]
    tifffile.imwrite(tmp_path / 'a.tif', image.astype(np.uint8), photometric='rgb', compression='jpeg', tile=(64, 32))
    rows = TiffRows(tmp_path / 'a.tif')
    assert rows.page.photometric == tifffile.PHOTOMETRIC.YCBCR
    assert np.abs(rows.reader().read(0, 128).numpy() - image[..., ::-1]).max() < 8


@pytest.mark.parametrize('pixels, options, words', [
    (np.zeros((20, 20), np.float32), dict(photometric='minisblack'), 'holds 32 bits'),
    (np.zeros((20, 20), np.uint8), dict(photometric='minisblack', bitspersample=4), 'holds 4 bits'),
    (np.zeros((3, 20, 20), np.uint8), dict(photometric='rgb', planarconfig='separate'), 'RGB'),
    (np.zeros((20, 20, 5), np.uint8), dict(photometric='minisblack', planarconfig='contig'), 'in 5 channels'),
    (np.zeros((20, 20, 3), np.uint8), dict(photometric='ycbcr', subsampling=(1, 1)), 'of YCBCR'),
    (np.zeros((20, 20, 3), np.uint8), dict(photometric='rgb', extratags=[(274, 3, 1, 6, True)]), 'orientation 6')])
def test_other_pixels_are_named(tmp_path, pixels, options, words):
    tifffile.imwrite(tmp_path / 'a.tif', pixels, **options)
    with pytest.raises(InputError, match=f'a.tif by blocks: .*{words}'):
        TiffRows(tmp_path / 'a.tif')


def test_colours_that_nobody_knows_are_named(tmp_path, image):
    tifffile.imwrite(tmp_path / 'a.tif', image, photometric='rgb')
    with tifffile.TiffFile(tmp_path / 'a.tif', mode='r+b') as file:
        file.pages.first.tags['PhotometricInterpretation'].overwrite(60000)
    with pytest.raises(InputError, match='a.tif by blocks: .* 8 bits of 60000'):
        TiffRows(tmp_path / 'a.tif')


def test_files_that_are_none_or_end_early_are_named(tmp_path, image):
    with pytest.raises(InputError, match='no image file'):
        TiffRows(tmp_path / 'none.tif')
    (tmp_path / 'text.tif').write_text('not an image')
    with pytest.raises(InputError, match='cannot read .*text.tif'):
        TiffRows(tmp_path / 'text.tif')
    for layout in (dict(rowsperstrip=20), dict(rowsperstrip=20, compression='zlib'), dict(tile=(32, 32))):
        path = tmp_path / 'cut.tif'
        tifffile.imwrite(path, image, photometric='rgb', **layout)
        with path.open('r+b') as file:
            file.truncate(path.stat().st_size // 2)
        with pytest.raises(InputError, match='cannot read .*cut.tif'):
            TiffRows(path).reader().read(0, 301)


@pytest.mark.parametrize('number', [11, 300])
def test_labels_lie_where_the_image_lies(tmp_path, image, number):
    tifffile.imwrite(tmp_path / 'a.tif', image, photometric='rgb', extratags=PLACE)
    labels = torch.from_numpy(np.random.default_rng(1).integers(0, number, image.shape[:2]))
    labels = labels.to(torch.uint8 if number <= 256 else torch.int16)
    palette = np.random.default_rng(2).integers(0, 256, (number, 3)).tolist()
    with TiffRows(tmp_path / 'a.tif') as rows:
        write_labels(tmp_path / 'b.tif', labels.split(37), labels.dtype, rows, palette)
    with tifffile.TiffFile(tmp_path / 'b.tif') as file:
        page = file.pages[0]
        assert np.array_equal(page.asarray(), labels.numpy()) and page.is_tiled
        assert [page.tags[code].value for code, *_ in PLACE] == [SCALE, TIE, KEYS, NUMBERS, NAMES]
        if number <= 256:
            assert (page.colormap[:, 5] // 257).tolist() == palette[5]


@pytest.mark.parametrize('mode', ['auto', 'slide'])
def test_blocks_give_the_labels_of_the_whole_file(tmp_path, monkeypatch, image, mode):
    monkeypatch.setattr(segmentor, 'BAND_BYTES', 10**5)
    config = Config.fromfile(CONFIG)
    config.model.test_cfg.update(crop_size=(64, 48), stride=(40, 32))
    torch.manual_seed(0)
    model = init_model(config)
    tifffile.imwrite(tmp_path / 'a.tif', image, photometric='rgb', tile=(64, 64))
    shares = []
    taken = segment_file(model, tmp_path / 'a.tif', tmp_path / 'out', mode, progress=shares.append)
    expected = inference_segmentor(model, tmp_path / 'a.tif', mode).pred_sem_seg.data[0].numpy()
    assert np.array_equal(tifffile.imread(tmp_path / 'out/a_classes.tif'), expected)
    assert taken == ('banded' if mode == 'auto' else 'slide') and shares[-1] == 1


def test_nothing_half_written_stays(tmp_path, monkeypatch, model, image):
    monkeypatch.setattr(segmentor, 'BAND_BYTES', 10**5)
    tifffile.imwrite(tmp_path / 'a.tif', image, photometric='rgb')

    def stop(share):
        if share > 0.5:
            assert list((tmp_path / 'out').iterdir())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        segment_file(model, tmp_path / 'a.tif', tmp_path / 'out', progress=stop)
    assert not list((tmp_path / 'out').iterdir())


def test_what_cannot_go_by_blocks_is_named(tmp_path, model, image):
    cv2.imwrite(str(tmp_path / 'a.png'), image)
    with pytest.raises(InputError, match='cannot read .*a.png'):
        segment_file(model, tmp_path / 'a.png', tmp_path)
    tifffile.imwrite(tmp_path / 'a.tif', image, photometric='rgb')
    with pytest.raises(InputError, match='not enough memory'):
        segment_file(model, tmp_path / 'a.tif', tmp_path, max_memory='1MB')
    (tmp_path / 'file').touch()
    with pytest.raises(InputError, match='cannot write .*a_classes.tif'):
        segment_file(model, tmp_path / 'a.tif', tmp_path / 'file')
    config = Config.fromfile(CONFIG)
    config.test_dataloader.dataset.pipeline.insert(1, dict(type='PhotoMetricDistortion'))
    with pytest.raises(InputError, match='more than to read BGR and to resize'):
        segment_file(init_model(config), tmp_path / 'a.tif', tmp_path)

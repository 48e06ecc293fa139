"""Segmenting a file a few rows at a time gives the same labels as segmenting the whole image."""
import cv2
import numpy as np
import pytest
import tifffile
import torch
from mmengine.config import Config
from rasters import random_bands, write_raster
from segmentors import CONFIG, SLIDING, assert_same_labels, build, digits_config

from xcit_mm.apis import inference_segmentor, init_model, segment_file
from xcit_mm.config_contents import find_test_dataset
from xcit_mm.errors import InputError
from xcit_mm.inference import scene


@pytest.fixture(scope='module')
def image():
    return np.random.default_rng(0).integers(0, 256, (301, 141, 3), dtype=np.uint8)


@pytest.fixture(scope='module')
def model():
    return build()


@pytest.mark.parametrize('mode', ['auto', 'slide'])
def test_rows_give_the_labels_of_the_whole_file(tmp_path, monkeypatch, image, mode):
    monkeypatch.setattr(scene, 'BAND_BYTES', 10**5)
    model = build(**SLIDING | dict(mode='auto'))
    tifffile.imwrite(tmp_path / 'a.tif', image, photometric='rgb', tile=(64, 64))
    shares = []
    used = segment_file(model, tmp_path / 'a.tif', tmp_path / 'out', mode, progress=shares.append)
    expected = inference_segmentor(model, tmp_path / 'a.tif', mode).pred_sem_seg.data[0].numpy()
    assert np.array_equal(tifffile.imread(tmp_path / 'out/a_classes.tif'), expected)
    assert used == ('banded' if mode == 'auto' else 'slide') and shares[-1] == 1


def test_any_source_and_several_sinks(tmp_path, model, image):
    cv2.imwrite(str(tmp_path / 'a.png'), image)
    segment_file(model, str(tmp_path / 'a.png'), str(tmp_path / 'out'), sinks=('tiff', 'png', 'overlay'))
    expected = inference_segmentor(model, image).pred_sem_seg.data[0].numpy()
    for written in (tifffile.imread(tmp_path / 'out/a_classes.tif'),
                    cv2.imread(str(tmp_path / 'out/a_classes.png'), cv2.IMREAD_UNCHANGED)):
        assert np.array_equal(written, expected)
    assert len(list((tmp_path / 'out').glob('a_*'))) == 4


def test_an_interrupted_run_leaves_no_file(tmp_path, monkeypatch, model, image):
    monkeypatch.setattr(scene, 'BAND_BYTES', 10**5)
    tifffile.imwrite(tmp_path / 'a.tif', image, photometric='rgb')

    def stop(share):
        if share > 0.5:
            assert list((tmp_path / 'out').iterdir())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        segment_file(model, tmp_path / 'a.tif', tmp_path / 'out', progress=stop)
    assert not list((tmp_path / 'out').iterdir())


def test_unsuitable_input_is_named(tmp_path, model, image, monkeypatch):
    for name in ('a.xyz', 'a.png'):
        with pytest.raises(InputError, match=f'no image file .*{name}'):
            segment_file(model, tmp_path / name, tmp_path)
    (tmp_path / 'a.xyz').write_text('1 2 3')
    with pytest.raises(InputError, match='cannot read .*a.xyz: GDAL cannot open it'):
        segment_file(model, tmp_path / 'a.xyz', tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr('xcit_mm.inference.sources.choose.find_spec', lambda name: None)
        with pytest.raises(InputError, match='cannot read .*a.xyz: the known suffixes are .bil, .bip'):
            segment_file(model, tmp_path / 'a.xyz', tmp_path)
    tifffile.imwrite(tmp_path / 'a.tif', image, photometric='rgb')
    with pytest.raises(InputError, match='not enough memory'):
        segment_file(model, tmp_path / 'a.tif', tmp_path, max_memory='1MB')
    with pytest.raises(InputError, match="among coco_json, geojson, gpkg, masks, overlay, png, tiff, but got 'bmp'"):
        segment_file(model, tmp_path / 'a.tif', tmp_path, sinks=['bmp'])
    (tmp_path / 'file').touch()
    with pytest.raises(InputError, match='cannot write .*a_classes.tif'):
        segment_file(model, tmp_path / 'a.tif', tmp_path / 'file')
    config = Config.fromfile(CONFIG)
    config.test_dataloader.dataset.pipeline.insert(1, dict(type='PhotoMetricDistortion'))
    with pytest.raises(InputError, match='does more than read images in colour or as stored'):
        segment_file(init_model(config), tmp_path / 'a.tif', tmp_path)


@pytest.mark.parametrize('mode', ['whole', 'banded'])
def test_bands_4_3_2_are_red_green_and_blue(tmp_path, model, mode):
    bands = random_bands(5)
    path = write_raster(tmp_path / 'a.tif', bands)
    segment_file(model, path, tmp_path / 'out', mode, bands=(4, 3, 2))
    expected = inference_segmentor(model, np.ascontiguousarray(bands[1:4].transpose(1, 2, 0)), mode)  # BGR
    assert np.array_equal(tifffile.imread(tmp_path / 'out/a_classes.tif'), expected.pred_sem_seg.data[0])


AS_STORED = dict(imdecode_backend='tifffile')


@pytest.mark.parametrize('dtype, count, loader', [
    ('uint16', 3, dict()), ('float32', 3, AS_STORED), ('int16', 3, AS_STORED), ('uint16', 4, AS_STORED)], ids=str)
def test_values_reach_the_network_as_in_training(tmp_path, dtype, count, loader):
    config = digits_config()
    config.test_dataloader.dataset.pipeline[0].update(loader)
    means, stds = [9.0, 8.0, 7.0, 6.0], [3.0, 2.0, 4.0, 5.0]
    config.model.data_preprocessor = dict(
        type='xcit_mm.inference.preprocessor.BandPreProcessor', mean=means[:count], std=stds[:count],
        bgr_to_rgb=not loader, size=(128, 128))
    config.model.backbone.in_channels = count
    torch.manual_seed(0)
    model = init_model(config)
    bands = random_bands(count, dtype)
    path = write_raster(tmp_path / 'a.tif', bands)
    segment_file(model, path, tmp_path / 'out', 'whole', statistics='image')
    bands = bands if loader else bands // 256  # as in training
    pixels = (bands - np.float32(means[:count])[:, None, None]) / np.float32(stds[:count])[:, None, None]
    with torch.no_grad():
        logits = model.encode_decode(torch.from_numpy(pixels.astype(np.float32))[None], [dict(img_shape=(301, 141))])[0]
    found = torch.from_numpy(tifffile.imread(tmp_path / 'out/a_classes.tif'))
    assert_same_labels(found, logits.argmax(dim=0).to(torch.uint8), logits)


def test_pixels_without_data_are_labelled_255_and_change_no_other_label(tmp_path):
    model = build()
    find_test_dataset(model.cfg).pipeline[0].update(AS_STORED)
    bands = random_bands(3, 'float32') * 100
    bands[:, 100:150, 20:90] = model.data_preprocessor.mean.flip(0).numpy()  # bgr_to_rgb reverses the stored order
    hidden = bands.copy()
    hidden[:, 100:150, 20:90] = np.nan
    labels = []
    for name, content in (('a', bands), ('b', hidden)):
        segment_file(model, write_raster(tmp_path / f'{name}.tif', content), tmp_path / 'out', sinks=['tiff', 'png'])
        labels.append(tifffile.imread(tmp_path / f'out/{name}_classes.tif'))
        assert np.array_equal(labels[-1], cv2.imread(str(tmp_path / f'out/{name}_classes.png'), cv2.IMREAD_UNCHANGED))
    expected = labels[0].copy()
    expected[100:150, 20:90] = 255
    assert np.array_equal(labels[1], expected) and (labels[0] < 255).all()

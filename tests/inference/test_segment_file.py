"""Segmenting a file a few rows at a time gives the same labels as segmenting the whole image."""
import cv2
import numpy as np
import pytest
import rasterio
import tifffile
import torch
from mmengine.config import Config
from pyogrio.raw import read
from rasters import random_bands, write_raster
from segmentors import CONFIG, SLIDING, assert_same_labels, build, digits_config

from xcit_mm.apis import inference_segmentor, init_model, segment_file
from xcit_mm.config_contents import find_test_dataset
from xcit_mm.errors import InputError
from xcit_mm.inference import scene
from xcit_mm.inference.data_mask import DataMask
from xcit_mm.inference.file_parts import FileParts
from xcit_mm.inference.results import ResultMeta
from xcit_mm.inference.sources import open_source


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
        with pytest.raises(InputError, match='cannot read .*a.xyz: the known suffixes are .bif, .bil, .bip'):
            segment_file(model, tmp_path / 'a.xyz', tmp_path)
    tifffile.imwrite(tmp_path / 'a.tif', image, photometric='rgb')
    with pytest.raises(InputError, match='not enough memory'):
        segment_file(model, tmp_path / 'a.tif', tmp_path, max_memory='1MB')
    with pytest.raises(InputError, match="among coco_json, .*, probabilities, tiff, but got 'bmp'"):
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


def test_the_values_of_pixels_without_data_do_not_matter(tmp_path):
    model = build()
    find_test_dataset(model.cfg).pipeline[0].update(AS_STORED)
    bands, labels, steps = random_bands(3, 'float32') * 100, [], []
    for name, value in (('a', np.nan), ('b', -9999)):
        bands[:, 100:150, 20:90] = value
        path = write_raster(tmp_path / f'{name}.tif', bands, nodata=-9999)
        segment_file(model, path, tmp_path / 'out', sinks=['tiff', 'png', dict(type='probabilities', classes=[7])])
        steps.append(tifffile.imread(tmp_path / f'out/{name}_probability_7_6.tif'))
        labels.append(tifffile.imread(tmp_path / f'out/{name}_classes.tif'))
        assert np.array_equal(labels[-1], cv2.imread(str(tmp_path / f'out/{name}_classes.png'), cv2.IMREAD_UNCHANGED))
    assert np.array_equal(labels[0], labels[1])
    without = np.zeros((301, 141), bool)
    without[100:150, 20:90] = True
    assert np.array_equal(labels[0] == 255, without)
    assert np.array_equal(steps[0], steps[1]) and np.array_equal(steps[0] == 255, without)


@pytest.mark.parametrize('sinks', [1, 2])
def test_probabilities_equal_those_of_the_whole_image(tmp_path, monkeypatch, model, sinks):
    monkeypatch.setattr(scene, 'BAND_BYTES', 10**5)
    bands = random_bands()
    path = write_raster(tmp_path / 'a.tif', bands)
    classes = ['7', 0]
    segment_file(model, path, tmp_path, sinks=[dict(type='probabilities', classes=classes), 'tiff'][:sinks])
    image = np.ascontiguousarray(bands[::-1].transpose(1, 2, 0))  # BGR
    expected = inference_segmentor(model, image, return_probability_of=classes).seg_probabilities.data.numpy()
    assert expected.std() > 0.01
    for index, name, probability in zip((8, 0), ('7', 'background'), expected):
        with rasterio.open(tmp_path / f'a_probability_{index}_{name}.tif') as file:
            assert np.abs(file.read(1) * file.scales[0] - probability).max() <= 0.5 * file.scales[0] + 1e-5


def test_the_score_of_a_polygon_is_the_mean_probability_of_its_class(tmp_path, model):
    path = write_raster(tmp_path / 'a.tif', random_bands())
    segment_file(model, path, tmp_path, 'whole', sinks=['tiff', dict(type='gpkg', scores=True)])
    image = np.ascontiguousarray(random_bands()[::-1].transpose(1, 2, 0))
    sample = inference_segmentor(model, image, 'whole', return_probability_of=range(11))
    labels, predicted = sample.pred_sem_seg.data[0], sample.seg_probabilities.data.amax(dim=0)
    columns = dict(zip(('class', 'name', 'area', 'score'), read(tmp_path / 'a_classes.gpkg')[3]))
    for index in np.unique(columns['class']):
        chosen = columns['class'] == index
        mean = np.average(columns['score'][chosen], weights=columns['area'][chosen])
        assert mean == pytest.approx(predicted[labels == index].mean().item(), abs=1 / 254)


def test_probabilities_without_logits_are_refused(tmp_path):
    with open_source(write_raster(tmp_path / 'a.tif', random_bands())) as source:
        parts = FileParts(DataMask(source), ResultMeta('a', 301, 141, ['b', 'c'], [[0] * 3] * 2, None), [1])
    with pytest.raises(InputError, match='predicts labels without logits'):
        parts.of_band(scene.Band(0, torch.zeros(9, 141), None))


def test_an_unknown_class_is_named_before_the_work(tmp_path, model):
    path = write_raster(tmp_path / 'a.tif', random_bands())
    with pytest.raises(InputError, match="no class 'cat'"):
        segment_file(model, path, tmp_path / 'out', sinks=['tiff', dict(type='probabilities', classes=['cat'])])
    assert not (tmp_path / 'out').exists()

"""Segmenting a file a few rows at a time gives the same labels as segmenting the whole image."""
import cv2
import numpy as np
import pytest
import tifffile
from mmengine.config import Config
from segmentors import CONFIG, SLIDING, build

from xcit_mm.apis import inference_segmentor, init_model, segment_file
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


def test_unsuitable_input_is_named(tmp_path, model, image):
    with pytest.raises(InputError, match='cannot read .*a.xyz: the known suffixes are .bmp, .jpeg'):
        segment_file(model, tmp_path / 'a.xyz', tmp_path)
    with pytest.raises(InputError, match='no image file .*a.png'):
        segment_file(model, tmp_path / 'a.png', tmp_path)
    tifffile.imwrite(tmp_path / 'a.tif', image, photometric='rgb')
    with pytest.raises(InputError, match='not enough memory'):
        segment_file(model, tmp_path / 'a.tif', tmp_path, max_memory='1MB')
    with pytest.raises(InputError, match="sinks must be among coco_json, masks, overlay, png, tiff, but got 'bmp'"):
        segment_file(model, tmp_path / 'a.tif', tmp_path, sinks=['bmp'])
    (tmp_path / 'file').touch()
    with pytest.raises(InputError, match='cannot write .*a_classes.tif'):
        segment_file(model, tmp_path / 'a.tif', tmp_path / 'file')
    config = Config.fromfile(CONFIG)
    config.test_dataloader.dataset.pipeline.insert(1, dict(type='PhotoMetricDistortion'))
    with pytest.raises(InputError, match='does more than read BGR and resize'):
        segment_file(init_model(config), tmp_path / 'a.tif', tmp_path)

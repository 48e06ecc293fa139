"""Modes of inference agree with mmseg's own, say what they need, and give what was asked for."""
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.measurement import peak_memory
from mmengine.config import Config
from mmseg.apis import inference_model
from mmseg.models import EncoderDecoder

from xcit_mm.apis import MODES, inference_segmentor, init_model
from xcit_mm.errors import InputError
from xcit_mm.inference.bands.rows import Stored
from xcit_mm.inference.modes import compute_bands, estimate_bytes
from xcit_mm.inference.modes import logits as segmentor
from xcit_mm.inference.segmentation import choose_mode

CONFIG = Path(__file__).resolve().parents[2] / 'configs/xcit_upernet_digits.py'
SLIDING = dict(mode='slide', crop_size=(64, 48), stride=(40, 32))


@pytest.fixture(scope='module')
def image():
    return np.random.default_rng(0).integers(0, 256, (150, 141, 3), dtype=np.uint8)


def build(**test_cfg):
    config = Config.fromfile(CONFIG)
    config.model.test_cfg.update(test_cfg)
    config.test_pipeline = [dict(type='LoadImageFromFile'), dict(type='PackSegInputs')]  # where mmseg looks for it
    torch.manual_seed(0)
    return init_model(config)


@pytest.mark.parametrize('mode, test_cfg', [('whole', {}), ('banded', {}), ('slide', SLIDING)])
def test_every_mode_gives_what_mmseg_gives(image, mode, test_cfg):
    model = build(**test_cfg)
    expected = inference_model(model, image)
    sample = inference_segmentor(model, image, mode, return_logits=True)
    logits = expected.seg_logits.data
    assert (sample.seg_logits.data - logits).abs().max() < 1e-5 * logits.abs().max()
    best = logits.topk(2, dim=0).values
    clear = best[0] - best[1] > 1e-4 * logits.abs().max()
    assert clear.float().mean() > 0.9 and sample.mode == mode and sample.pred_sem_seg.data.dtype == torch.int64
    assert torch.equal(sample.pred_sem_seg.data[0][clear], expected.pred_sem_seg.data[0][clear])


@pytest.mark.parametrize('size', [(30, 150), (64, 48), (65, 49)])
def test_windows_at_the_edges(size):
    model, image = build(**SLIDING), np.full((*size, 3), 99, np.uint8)
    image[::3] = 7
    expected = inference_model(model, image).seg_logits.data
    actual = inference_segmentor(model, image, return_logits=True).seg_logits.data
    assert (actual - expected).abs().max() < 1e-5 * expected.abs().max()


def test_nothing_is_returned_that_was_not_asked_for(image):
    model = build()
    plain = inference_segmentor(model, image)
    assert 'seg_logits' not in plain and 'seg_probabilities' not in plain
    everything = inference_segmentor(model, image, return_logits=True, return_probability_of=['3', 0])
    assert torch.equal(plain.pred_sem_seg.data, everything.pred_sem_seg.data)
    expected = everything.seg_logits.data.softmax(0)[[model.dataset_meta['classes'].index('3'), 0]]
    torch.testing.assert_close(everything.seg_probabilities.data, expected)
    one = inference_segmentor(model, image, return_probability_of=np.int64(0)).seg_probabilities.data
    torch.testing.assert_close(one, expected[1:])
    assert inference_segmentor(model, image, return_probability_of='9').seg_probabilities.data.shape[0] == 1
    with pytest.raises(InputError, match="no class 'cat'; there are 0 … 10: background, 0"):
        inference_segmentor(model, image, return_probability_of=['cat'])


def test_one_logit_is_background_and_foreground(image):
    config = Config.fromfile(CONFIG)
    config.model.decode_head.update(num_classes=2, out_channels=1, threshold=0.5, loss_decode=dict(
        type='CrossEntropyLoss', use_sigmoid=True))
    config.model.pop('auxiliary_head')
    sample = inference_segmentor(init_model(config), image, return_logits=True, return_probability_of=[1, 0])
    foreground = sample.seg_logits.data.sigmoid()
    torch.testing.assert_close(sample.seg_probabilities.data, torch.cat((foreground, 1 - foreground)))
    assert torch.equal(sample.pred_sem_seg.data, (foreground > 0.5).long())


def test_the_network_sees_every_pixel_at_full_resolution(image):
    config = Config.fromfile(CONFIG)
    pipeline = config.test_dataloader.dataset.pipeline
    config.test_dataloader.dataset.pipeline = [pipeline[0], dict(type='Resize', scale=(64, 64)), *pipeline[1:]]
    torch.manual_seed(0)
    resizing = init_model(config)
    expected = inference_segmentor(build(), image).pred_sem_seg.data
    assert torch.equal(inference_segmentor(resizing, image, full_resolution=True).pred_sem_seg.data, expected)
    assert not torch.equal(inference_segmentor(resizing, image).pred_sem_seg.data, expected)


def test_auto_takes_windows_only_where_the_config_does(image):
    assert inference_segmentor(build(), image).mode == 'banded'
    assert inference_segmentor(build(**SLIDING), image).mode == 'slide'
    for part in ('backbone', 'decode_head'):
        model = build()
        norm = next(name for name, module in getattr(model, part).named_modules()
                    if isinstance(module, torch.nn.BatchNorm2d))
        parent, _, name = norm.rpartition('.')
        setattr(getattr(model, part).get_submodule(parent), name, torch.nn.InstanceNorm2d(64).eval())
        assert choose_mode(model, Stored(torch.zeros(8, 8, 3)), 'auto', None, 0) == 'whole'
    model = build()
    model.backbone = torch.nn.Sequential(model.backbone).eval()
    assert inference_segmentor(model, image).mode == 'whole'


def test_a_model_of_its_own_kind_predicts_in_its_own_way(image):
    class Inverse(EncoderDecoder):
        def encode_decode(self, inputs, batch_img_metas):
            return -super().encode_decode(inputs, batch_img_metas)

    model = build()
    expected = inference_segmentor(model, image, return_logits=True).seg_logits.data.argmin(0)
    model.__class__ = Inverse
    sample = inference_segmentor(model, image)
    assert (sample.pred_sem_seg.data[0] == expected).float().mean() > 0.99
    assert 'seg_logits' not in sample and sample.mode == 'own'
    for wanted in (dict(mode='whole'), dict(return_probability_of=0)):
        with pytest.raises(InputError, match='a Inverse that predicts in a way of its own'):
            inference_segmentor(model, image, **wanted)


def test_padding_and_flips_are_left_to_mmseg(image):
    model = build()
    expected = inference_segmentor(model, image[:, ::-1].copy()).pred_sem_seg.data.flip(2)
    model.cfg.test_dataloader.dataset.pipeline.insert(-1, dict(type='RandomFlip', prob=1.0))
    sample = inference_segmentor(model, image)
    assert sample.mode == 'own' and (sample.pred_sem_seg.data == expected).float().mean() > 0.99
    model = build()
    model.data_preprocessor.test_cfg = dict(size_divisor=32)
    assert inference_segmentor(model, image).mode == 'own'


def test_too_little_memory_is_said_before_the_work_begins(image):
    model = build()
    for mode in ('auto', 'whole'):
        with pytest.raises(InputError, match='to segment 141 x 150 pixels in mode .* on top .* of the limit of 1 MB'):
            inference_segmentor(model, image, mode, max_memory='1MB')
    assert inference_segmentor(model, image, max_memory=10**11).mode == 'banded'
    rows = Stored(torch.zeros(1, 1, 3).expand(10**5, 10**5, -1))
    with pytest.raises(InputError, match='segment 100000 x 100000 .* take mode auto, or'):
        choose_mode(model, rows, 'whole', None, 0)


def test_the_first_mode_that_fits_is_taken(monkeypatch):
    monkeypatch.setattr('xcit_mm.inference.segmentation._fastest_first', lambda model: ['whole', 'banded'])
    model, rows = build(), Stored(torch.zeros(1, 1, 3).expand(3000, 3000, -1))
    needed = {mode: estimate_bytes(model, 3000, 3000, mode) for mode in ('whole', 'banded')}
    assert needed['banded'] < 0.6 * needed['whole']
    for free, mode in ((needed['whole'], 'whole'), (needed['whole'] - 1, 'banded'), (needed['banded'], 'banded')):
        monkeypatch.setattr('xcit_mm.inference.segmentation.available_bytes', lambda device, limit, free=free: free)
        assert choose_mode(model, rows, 'auto', None, 0) == mode
    with pytest.raises(InputError, match='in mode banded'):
        choose_mode(model, rows, 'auto', None, 1)


def test_modes_that_cannot_run_are_named(image):
    model = build()
    with pytest.raises(InputError, match='mode must be one of auto, whole, banded, slide'):
        inference_segmentor(model, image, 'bands')
    with pytest.raises(InputError, match='mode slide needs model.test_cfg.crop_size'):
        inference_segmentor(model, image, 'slide')
    with pytest.raises(InputError, match='no stride above the crop'):
        inference_segmentor(build(crop_size=(32, 32), stride=(48, 32)), image, 'slide')


@pytest.mark.parametrize('mode', MODES[1:])
def test_progress_grows_from_nothing_to_everything(monkeypatch, image, mode):
    monkeypatch.setattr(segmentor, 'BAND_BYTES', 10**5)
    shares = []
    inference_segmentor(build(**SLIDING), image, mode, progress=shares.append)
    assert shares == sorted(shares) and shares[0] < 1 and shares[-1] == 1


@pytest.mark.slow
@pytest.mark.parametrize('name, kind', [
    ('upernet', 'xcit_mm.heads.EfficientUPerHead'), ('upernet', 'UPerHead'), ('sem_fpn', 'FPNHead')])
@pytest.mark.parametrize('mode', ['whole', 'banded', 'slide'])
def test_estimates_of_memory_are_near_and_not_below(name, kind, mode):
    config = Config.fromfile(CONFIG.with_name(f'xcit_{name}_ade20k.py'))
    config.model.decode_head.type = kind
    config.model.backbone.init_cfg = None
    config.model.test_cfg = dict(mode='slide', crop_size=(512, 512), stride=(341, 341))
    model = init_model(config)
    for height, width in [(512, 512), (912, 768)]:
        image = torch.zeros(height, width, 3, dtype=torch.uint8)

        def run(image=image):
            for _, band in compute_bands(model, Stored(image), image.shape[:2], mode):
                band.argmax(-1)

        estimate = estimate_bytes(model, *image.shape[:2], mode)
        assert 0.6 < peak_memory(run, torch.device('cpu')) / estimate < 1

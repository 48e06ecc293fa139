"""Every inference mode gives the same results as mmseg, and only the requested maps are returned."""
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.apis import inference_model
from mmseg.models import EncoderDecoder
from segmentors import CONFIG, SLIDING, assert_same_labels, build, build_mmseg

from xcit_mm.apis import inference_segmentor, init_model
from xcit_mm.errors import InputError
from xcit_mm.inference import scene


@pytest.fixture(scope='module')
def image():
    return np.random.default_rng(0).integers(0, 256, (150, 141, 3), dtype=np.uint8)


@pytest.mark.parametrize('mode, test_cfg', [('whole', {}), ('banded', {}), ('slide', SLIDING), ('delegated', {})])
def test_every_mode_equals_mmseg(image, mode, test_cfg):
    expected = inference_model(build_mmseg(**test_cfg), image)
    sample = inference_segmentor(build(**test_cfg, return_logits=True), image, mode, return_logits=True)
    logits = expected.seg_logits.data
    assert (sample.seg_logits.data - logits).abs().max() < 1e-5 * logits.abs().max()
    assert sample.mode == mode and sample.pred_sem_seg.data.dtype == torch.int64
    assert_same_labels(sample.pred_sem_seg.data[0], expected.pred_sem_seg.data[0], logits)


@pytest.mark.parametrize('size', [(30, 150), (64, 48), (65, 49)])
def test_windows_at_the_edges(size):
    image = np.full((*size, 3), 99, np.uint8)
    image[::3] = 7
    expected = inference_model(build_mmseg(**SLIDING), image).seg_logits.data
    actual = inference_segmentor(build(**SLIDING), image, return_logits=True).seg_logits.data
    assert (actual - expected).abs().max() < 1e-5 * expected.abs().max()


def test_only_requested_maps_are_returned(image):
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
    with pytest.raises(InputError, match="no class 'cat'; the classes 0 … 10 are background, 0"):
        inference_segmentor(model, image, return_probability_of=['cat'])


@pytest.mark.parametrize('mode', ['whole', 'banded', 'delegated'])
def test_one_channel_separates_background_and_foreground(image, mode):
    config = Config.fromfile(CONFIG)
    config.model.decode_head.update(num_classes=2, out_channels=1, threshold=0.5, loss_decode=dict(
        type='CrossEntropyLoss', use_sigmoid=True))
    config.model.pop('auxiliary_head')
    config.model.test_cfg.return_logits = True
    config.test_dataloader.dataset.metainfo = dict(classes=('background', 'digit'))
    torch.manual_seed(0)
    ours = init_model(config)
    config.model.update(type='EncoderDecoder', test_cfg=dict(mode='whole'))
    torch.manual_seed(0)
    expected = inference_segmentor(init_model(config), image, 'delegated', return_logits=True)
    sample = inference_segmentor(ours, image, mode, return_logits=True, return_probability_of=[1, 0])
    foreground = sample.seg_logits.data
    torch.testing.assert_close(foreground, expected.seg_logits.data, rtol=1e-5, atol=1e-5)  # after the sigmoid
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


def test_a_model_that_predicts_in_its_own_way_is_left_to_itself(image):
    class Inverse(EncoderDecoder):
        def encode_decode(self, inputs, batch_img_metas):
            return -super().encode_decode(inputs, batch_img_metas)

    model = build_mmseg()
    logits = inference_segmentor(model, image, return_logits=True).seg_logits.data
    model.__class__ = Inverse
    sample = inference_segmentor(model, image, return_logits=True)
    assert_same_labels(sample.pred_sem_seg.data[0], logits.argmin(0), -logits)
    assert torch.equal(sample.seg_logits.data.argmax(0), sample.pred_sem_seg.data[0]) and sample.mode == 'delegated'
    for mode in ('whole', 'banded', 'slide'):
        with pytest.raises(InputError, match=f'mode {mode} needs a segmentor .* this Inverse has its own predict'):
            inference_segmentor(model, image, mode)


def test_labels_without_logits(image):
    class LabelsOnly(EncoderDecoder):
        def postprocess_result(self, seg_logits, data_samples=None):
            samples = super().postprocess_result(seg_logits, data_samples)
            del samples[0].seg_logits
            return samples

    model = build_mmseg()
    model.__class__ = LabelsOnly
    assert 'seg_logits' not in inference_segmentor(model, image)
    with pytest.raises(InputError, match='a LabelsOnly predicts labels without logits'):
        inference_segmentor(model, image, return_probability_of=0)


def test_a_model_without_labels_is_refused(image):
    class Depth(EncoderDecoder):
        def postprocess_result(self, seg_logits, data_samples=None):
            samples = super().postprocess_result(seg_logits, data_samples)
            del samples[0].pred_sem_seg
            return samples

    model = build_mmseg()
    model.__class__ = Depth
    with pytest.raises(InputError, match='a Depth predicts seg_logits instead of labels'):
        inference_segmentor(model, image)


@pytest.mark.parametrize('mode', ['whole', 'banded', 'slide'])
@pytest.mark.parametrize('padding', [None, dict(size_divisor=32), dict(size=(200, 160))])
@pytest.mark.parametrize('flip', [None, 'horizontal', 'vertical'])
def test_padding_and_flips_in_every_mode(image, mode, padding, flip):
    ours, theirs = build(**SLIDING), build_mmseg(**SLIDING if mode == 'slide' else dict(mode='whole'))
    for model in (ours, theirs):
        model.data_preprocessor.test_cfg = padding
        if flip:
            model.cfg.test_dataloader.dataset.pipeline.insert(-1, dict(type='RandomFlip', prob=1.0, direction=flip))
    expected = inference_segmentor(theirs, image, 'delegated', return_logits=True)
    logits = expected.seg_logits.data
    actual = inference_segmentor(ours, image, mode, return_logits=True)
    assert (actual.seg_logits.data - logits).abs().max() < 1e-5 * logits.abs().max()
    assert_same_labels(actual.pred_sem_seg.data[0], expected.pred_sem_seg.data[0], logits)


def test_an_image_flipped_in_both_directions(image):
    model = build()
    expected = inference_segmentor(model, image[::-1, ::-1].copy(), return_logits=True).seg_logits.data.flip(1, 2)
    model.cfg.test_dataloader.dataset.pipeline.insert(-1, dict(type='RandomFlip', prob=1.0, direction='diagonal'))
    actual = inference_segmentor(model, image, return_logits=True).seg_logits.data
    assert (actual - expected).abs().max() < 1e-5 * expected.abs().max()


@pytest.mark.parametrize('mode', ['auto', 'whole', 'banded', 'slide', 'delegated'])
def test_progress_grows_from_zero_to_one(monkeypatch, image, mode):
    monkeypatch.setattr(scene, 'BAND_BYTES', 10**5)
    shares = []
    inference_segmentor(build(**SLIDING), image, mode, progress=shares.append)
    assert shares == sorted(shares) and shares[-1] == 1 and (shares[0] < 1 or mode == 'delegated')

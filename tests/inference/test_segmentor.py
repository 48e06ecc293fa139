"""The registered segmentor works in every mode and everywhere that mmseg uses a model."""
import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.apis import MMSegInferencer, inference_model
from mmseg.models import SegTTAModel
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from segmentors import SLIDING, assert_same_labels, build, build_mmseg, digits_config

from xcit_mm.apis import inference_segmentor
from xcit_mm.errors import InputError
from xcit_mm.inference.segmentor import BoundedEncoderDecoder
from xcit_mm.inference.tta import BoundedTTAModel


@pytest.fixture(scope='module')
def image():
    return np.random.default_rng(0).integers(0, 256, (150, 141, 3), dtype=np.uint8)


@pytest.mark.parametrize('mode', ['auto', 'whole', 'banded', 'slide'])
def test_mmseg_runs_the_mode_of_test_cfg(image, mode):
    model = build(**SLIDING | dict(mode=mode))
    assert type(model) is BoundedEncoderDecoder
    expected = inference_segmentor(model, image, mode, return_logits=True)
    for name, sample in (('inference_model', inference_model(model, image)),):
        assert sample.mode == expected.mode and 'seg_logits' not in sample, name
        assert_same_labels(sample.pred_sem_seg.data[0], expected.pred_sem_seg.data[0], expected.seg_logits.data)


def test_mmsegs_inferencer(image, tmp_path):
    config, model = digits_config(mode='banded'), build(mode='banded')
    torch.save(model.state_dict(), tmp_path / 'weights.pth')
    config.dump(tmp_path / 'config.py')
    inferencer = MMSegInferencer(str(tmp_path / 'config.py'), str(tmp_path / 'weights.pth'), device='cpu')
    labels = inferencer(image)['predictions']
    expected = inference_segmentor(model, image, 'banded', return_logits=True)
    assert_same_labels(torch.from_numpy(labels), expected.pred_sem_seg.data[0], expected.seg_logits.data)


def test_mmsegs_weights_load(image):
    ours, theirs = build(), build_mmseg()
    theirs.load_state_dict(ours.state_dict())
    assert list(ours.state_dict()) == list(theirs.state_dict())


def test_settings_of_test_cfg_reach_inference(image):
    sample = inference_model(build(mode='whole', return_logits=True), image)
    assert sample.seg_logits.data.shape == (11, 150, 141)
    with pytest.raises(InputError, match='of the limit of 1 MB'):
        inference_model(build(max_memory='1MB'), image)
    with pytest.raises(InputError, match='mode must be one of'):
        inference_model(build(mode='bands'), image)
    with pytest.raises(InputError, match='statistics must be one of'):
        inference_model(build(statistics='nearby'), image)


def test_batches_and_predictions_without_samples():
    model, images = build(mode='banded'), torch.randn(2, 3, 64, 80)
    samples = [SegDataSample(metainfo=dict(ori_shape=shape)) for shape in ((64, 80), (30, 41))]
    predicted = model.predict(images, samples)
    assert [tuple(sample.pred_sem_seg.data.shape) for sample in predicted] == [(1, 64, 80), (1, 30, 41)]
    alone = model.predict(images)  # with logits, as in mmseg
    assert alone[0].seg_logits.data.shape == (11, 64, 80)
    assert_same_labels(predicted[0].pred_sem_seg.data[0], alone[0].pred_sem_seg.data[0], alone[0].seg_logits.data)


def test_a_subclass_that_predicts_in_its_own_way(image):
    class Inverse(BoundedEncoderDecoder):
        def encode_decode(self, inputs, batch_img_metas):
            return -super().encode_decode(inputs, batch_img_metas)

    model = build()
    logits = inference_segmentor(model, image, return_logits=True).seg_logits.data
    model.__class__ = Inverse
    for sample in (inference_model(model, image), inference_segmentor(model, image)):
        assert_same_labels(sample.pred_sem_seg.data[0], logits.argmin(0), -logits)
    model.test_cfg['mode'] = 'banded'
    with pytest.raises(InputError, match='this Inverse has its own prediction code'):
        inference_model(model, image)


def augmented(image):
    """Return an image at two scales, each with and without flips, as TestTimeAug packs them."""
    data = dict(inputs=[], data_samples=[])
    pixels = torch.from_numpy(image).permute(2, 0, 1)
    for size in ((150, 141), (100, 94)):
        resized = torch.nn.functional.interpolate(pixels[None].float(), size)[0].byte()
        for flip in (None, 'horizontal', 'vertical'):
            turned = resized if flip is None else resized.flip(2 if flip == 'horizontal' else 1)
            data['inputs'].append([turned])
            data['data_samples'].append([SegDataSample(metainfo=dict(
                ori_shape=(150, 141), img_shape=size, pad_shape=size, flip=bool(flip), flip_direction=flip,
                img_path='a.png'), gt_sem_seg=PixelData(data=torch.zeros(1, 150, 141)))])
    return data


@pytest.mark.parametrize('mode', ['banded', 'whole'])
def test_augmentations_are_averaged_as_by_mmseg(image, mode):
    init_default_scope('mmseg')
    ours, theirs = build(mode=mode), build_mmseg()
    expected = SegTTAModel(theirs).eval().test_step(augmented(image))[0]
    sample = BoundedTTAModel(ours).eval().test_step(augmented(image))[0]
    probabilities = sum(part[0].seg_logits.data.softmax(0) for part in map(
        theirs.test_step, [dict(inputs=inputs, data_samples=samples)
                           for inputs, samples in zip(*augmented(image).values())])) / 6
    assert_same_labels(sample.pred_sem_seg.data[0], expected.pred_sem_seg.data[0], probabilities)
    assert 'seg_logits' not in sample and 'gt_sem_seg' in sample and sample.img_path == 'a.png'


def test_the_types_are_registered():
    assert MODELS.get('xcit_mm.inference.segmentor.BoundedEncoderDecoder') is BoundedEncoderDecoder
    assert MODELS.get('xcit_mm.inference.tta.BoundedTTAModel') is BoundedTTAModel

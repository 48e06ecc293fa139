"""Every mode computes each statistic alike."""

import numpy as np
import pytest
import torch
from segmentors import SLIDING, build, build_mmseg, build_sample, digits_config, scene_of_kinds

from xcit_mm.apis import inference_segmentor, init_model
from xcit_mm.errors import InputError
from xcit_mm.inference.tta import BoundedTTAModel
from xcit_mm.statistics import Recorder

STATISTICS = ['image', 'mixture', dict(type='mixture', kinds=3, leak=0.1), 'local', dict(type='local', size=(70, 300)),
              dict(type='adaptive', threshold=0.1)]


def assert_alike(model, image, first, second, **options):
    """Check that two modes give the same logits, and return those of the second mode."""
    found = [inference_segmentor(model, image, mode, return_logits=True, **options) for mode in (first, second)]
    assert found[0].statistics == found[1].statistics
    logits = [sample.seg_logits.data for sample in found]
    assert (logits[0] - logits[1]).abs().max() < 1e-5 * logits[1].abs().max()
    return logits[1]


@pytest.mark.parametrize('statistics', STATISTICS, ids=str)
@pytest.mark.parametrize('size', [(289, 231), (64, 517)], ids=str)
@pytest.mark.parametrize('padding', [None, dict(size_divisor=128)], ids=str)
def test_banded_equals_whole(statistics, size, padding):
    model = build()
    model.data_preprocessor.test_cfg = padding
    logits = assert_alike(model, scene_of_kinds(*size), 'banded', 'whole', statistics=statistics)
    published = inference_segmentor(model, scene_of_kinds(*size), 'whole', statistics='image', return_logits=True)
    changed = (logits - published.seg_logits.data).abs().max() / logits.abs().max()
    assert (changed == 0) if statistics == 'image' else (changed > 1e-4)


@pytest.mark.parametrize('patch', [8, 16])
def test_other_heads_and_patches(patch):
    config = digits_config()
    config.model.backbone.arch.patch_size = patch
    config.model.neck = dict(type='FPN', in_channels=[96] * 4, out_channels=32, num_outs=4)
    config.model.decode_head = dict(type='FPNHead', in_channels=[32] * 4, in_index=[0, 1, 2, 3], channels=16,
                                    feature_strides=[4, 8, 16, 32], num_classes=11)
    config.model.pop('auxiliary_head')
    torch.manual_seed(0)
    assert_alike(init_model(config), scene_of_kinds(150, 300), 'banded', 'whole', statistics='mixture')


def test_spread_tells_how_far_the_kinds_differ():
    model, mixed = build(), scene_of_kinds(300, 300)
    alike = np.tile(mixed[-32:, -32:], (10, 10, 1))[:300, :300]
    spread = {name: inference_segmentor(model, image, mode, statistics=statistics).statistics_spread
              for name, image, mode, statistics in (
                  ('image', mixed, 'banded', 'image'), ('mixed', mixed, 'banded', 'mixture'),
                  ('whole', mixed, 'whole', 'mixture'), ('alike', alike, 'banded', 'mixture'),
                  ('local', mixed, 'whole', 'local'))}
    assert spread['image'] == pytest.approx(spread['mixed'], rel=1e-3) == spread['whole']
    assert spread['alike'] < 0.9 * spread['mixed'] and spread['local'] > 0  # positions also differ


@pytest.mark.parametrize('statistics', ['mixture', dict(type='local', size=(70, 300))], ids=str)
@pytest.mark.parametrize('padding', [None, dict(size_divisor=128)], ids=str)
def test_windows_have_statistics_of_their_own(statistics, padding):
    """Each window of mode slide is segmented as if it were a separate image; padding is never counted."""
    image = scene_of_kinds(64, 48)
    model = build(**SLIDING)
    alone = inference_segmentor(model, image, 'whole', statistics=statistics, return_logits=True).seg_logits.data
    model.data_preprocessor.test_cfg = padding
    wide = np.concatenate([image, scene_of_kinds(64, 30)], axis=1)
    found = inference_segmentor(model, wide, 'slide', statistics=statistics, return_logits=True).seg_logits.data
    if padding is None:
        assert (found[..., :30] - alone[..., :30]).abs().max() < 1e-5 * alone.abs().max()  # only the first window
    assert found.isfinite().all() and found.shape[1:] == (64, 78)


def test_recorded_statistics_of_an_image_reproduce_it(tmp_path):
    """The pooled cells of the head are recorded, too."""
    image, model, recorder = scene_of_kinds(150, 170), build(), Recorder()
    published = inference_segmentor(model, image, 'whole', statistics='image', return_logits=True).seg_logits.data
    recorded = inference_segmentor(model, image, 'banded', statistics=recorder, return_logits=True)
    assert recorded.statistics == 'Recorder'
    recorder.save(tmp_path / 'a.safetensors')
    frozen = dict(type='frozen', file=str(tmp_path / 'a.safetensors'))
    for mode in ('whole', 'banded'):
        found = inference_segmentor(model, image, mode, statistics=frozen, return_logits=True).seg_logits.data
        assert (found - published).abs().max() < 1e-5 * published.abs().max()
    inference_segmentor(model, image[:80], 'whole', statistics=recorder)
    assert set(recorder.counts.values()) == {2} and recorder.counts['pools.6'] == 2


def test_a_hooked_head_is_called():
    model, image = build(), scene_of_kinds(200, 200)
    plain = inference_segmentor(model, image, 'whole', statistics='mixture', return_logits=True).seg_logits.data
    model.decode_head.register_forward_hook(lambda module, inputs, output: output * 0)
    found = inference_segmentor(model, image, 'whole', statistics='mixture', return_logits=True).seg_logits.data
    assert plain.abs().max() > 0 and found.abs().max() == 0
    with pytest.raises(InputError, match='cannot take its pooled cells'):
        inference_segmentor(model, image, 'whole', statistics=Recorder())


def test_a_model_that_predicts_in_its_own_way_uses_the_statistics():
    """Mode delegated passes them to the backbone; the result is that of mode whole."""
    image, ours, theirs = scene_of_kinds(200, 220), build(), build_mmseg()
    for statistics in ('image', 'mixture'):
        expected = inference_segmentor(ours, image, 'whole', statistics=statistics, return_logits=True)
        found = inference_segmentor(theirs, image, 'delegated', statistics=statistics, return_logits=True)
        assert found.statistics == statistics
        logits = expected.seg_logits.data
        assert (found.seg_logits.data - logits).abs().max() < 1e-5 * logits.abs().max()


def test_a_model_without_a_backbone_runs_its_own_code():
    """Such as mmseg's MultimodalEncoderDecoder, whose encoder has another name."""
    model = build_mmseg()
    model.image_encoder = model._modules.pop('backbone')
    model.extract_feat = lambda images: model.image_encoder(images)
    assert inference_segmentor(model, scene_of_kinds(200, 220), 'delegated').statistics == 'image'


def test_augmented_images_use_the_statistics_of_the_config():
    image, labels = torch.from_numpy(scene_of_kinds(200, 220)).permute(2, 0, 1), {}
    for statistics in ('image', 'mixture'):
        model = build(statistics=statistics)
        augmented = BoundedTTAModel(model)
        data = dict(inputs=[[image]], data_samples=[[build_sample(scene_of_kinds(200, 220))]])
        labels[statistics] = augmented.test_step(data)[0].pred_sem_seg.data[0]
        expected = inference_segmentor(model, scene_of_kinds(200, 220), statistics=statistics).pred_sem_seg.data[0]
        assert (labels[statistics] == expected).float().mean() > 0.999
    assert not torch.equal(labels['image'], labels['mixture'])

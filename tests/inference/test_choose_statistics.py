"""Which statistics an image is segmented with."""
import copy
import logging

import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger
from segmentors import SLIDING, build, build_mmseg, build_sample, digits_config, scene_of_kinds

from xcit_mm.apis import inference_segmentor, init_model
from xcit_mm.errors import InputError
from xcit_mm.inference.modes import build_mode
from xcit_mm.statistics import LARGE_SPREAD


@pytest.mark.parametrize('height, width, expected', [
    (128, 128, 'image'), (100, 300, 'image'), (181, 181, 'image'), (182, 182, 'mixture'), (64, 600, 'mixture')])
def test_auto_depends_on_the_size_of_the_training_crops(height, width, expected):
    sample = inference_segmentor(build(), scene_of_kinds(height, width))
    assert sample.statistics == expected


def test_auto_keeps_published_protocols():
    image = scene_of_kinds(300, 300)
    assert inference_segmentor(build(**SLIDING), image, 'slide').statistics == 'image'
    assert inference_segmentor(build_mmseg(), image, 'delegated').statistics == 'image'
    resizing = digits_config()
    resizing.test_dataloader.dataset.pipeline = [
        dict(type='LoadImageFromFile'), dict(type='Resize', scale=(300, 300), keep_ratio=True),
        dict(type='PackSegInputs')]
    model = init_model(resizing)
    assert inference_segmentor(model, image).statistics == 'image'
    assert inference_segmentor(model, image, full_resolution=True).statistics == 'mixture'


def test_auto_needs_the_size_of_the_crops_and_an_unmodified_attention():
    image, model = scene_of_kinds(300, 300), build()
    hooked = copy.deepcopy(model)
    hooked.backbone.blocks[1].attn.qkv.register_forward_hook(lambda *arguments: None)
    assert inference_segmentor(hooked, image).statistics == 'image'
    with pytest.raises(InputError, match='Gram form'):
        inference_segmentor(hooked, image, 'whole', statistics='mixture')
    model.data_preprocessor.size = None
    assert inference_segmentor(model, image).statistics == 'image'
    with pytest.raises(InputError, match='size of the training crops'):
        inference_segmentor(model, image, statistics='local')
    assert inference_segmentor(model, image, statistics='mixture').statistics == 'mixture'


@pytest.mark.parametrize('hook', ['hook', 'subclass'])
def test_attention_that_cannot_use_other_statistics_refuses_them(hook):
    """A hook runs only if the layer itself is called, and a subclass may compute anything."""
    model = build()
    layer = model.backbone.blocks[1].attn
    if hook == 'hook':
        layer.register_forward_hook(lambda module, inputs, output: output * 2)
    else:
        layer.__class__ = type('Other', (type(layer), ), {})
    assert inference_segmentor(model, scene_of_kinds(300, 300), 'whole').statistics == 'image'
    with pytest.raises(InputError, match='attention of a block is a modified'):
        inference_segmentor(model, scene_of_kinds(300, 300), 'whole', statistics='mixture')


def test_config_sets_the_statistics():
    image = scene_of_kinds(200, 200)
    model = build(statistics=dict(type='mixture', kinds=2))
    sample = model.test_step(dict(inputs=[torch.from_numpy(image).permute(2, 0, 1)],
                                  data_samples=[build_sample(image)]))[0]
    assert sample.statistics == 'mixture (kinds=2)'


@pytest.mark.parametrize('statistics', [3, dict(kinds=2), dict(type=['mixture']), 'kinds'], ids=str)
def test_wrong_choices_are_refused_in_one_line(statistics):
    for mode in ('auto', 'whole', 'banded'):
        with pytest.raises(InputError, match='statistics must be one of') as caught:
            inference_segmentor(build(), scene_of_kinds(64, 64), mode, statistics=statistics)
        assert '\n' not in str(caught.value)
    for statistics in (None, dict(type='auto')):
        assert inference_segmentor(build(), scene_of_kinds(300, 300), statistics=statistics).statistics == 'mixture'


@pytest.mark.parametrize('statistics', ['mixture', dict(type='local', size=(16, 16))], ids=str)
def test_memory_for_statistics_is_required_beforehand(statistics, monkeypatch):
    from xcit_mm.inference.modes import footprint

    model, image = build(), scene_of_kinds(500, 500)
    needed = build_mode('banded').estimate_bytes(model, 500, 500)
    monkeypatch.setattr(footprint, 'available_bytes', lambda device, limit: needed + 9 * 500 * 500)
    assert inference_segmentor(model, image, 'banded', statistics='image').mode == 'banded'
    with pytest.raises(InputError, match='in mode banded with statistics .* use a smaller image$'):
        inference_segmentor(model, image, 'banded', statistics=statistics)


@pytest.fixture
def warnings():
    """Return the list of warnings that MMEngine's logger receives."""
    messages, handler = [], logging.Handler(logging.WARNING)
    handler.emit = lambda record: messages.append(record.getMessage())
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    yield messages
    logger.removeHandler(handler)


@pytest.mark.parametrize('mode', ['whole', 'banded'])
def test_auto_uses_the_mixture_only_if_the_content_differs(mode):
    """Of tiles that are all alike, the sums are those of the image; the result is the same as if it was asked for."""
    mixed = scene_of_kinds(300, 300)
    alike = np.tile(mixed[-32:, -32:], (10, 10, 1))[:300, :300]
    for scene, expected in ((mixed, 'mixture'), (alike, 'image')):
        found = {wanted: inference_segmentor(build(), scene, mode, statistics=wanted, return_logits=True)
                 for wanted in ('auto', expected)}
        assert found['auto'].statistics == expected
        assert (found['auto'].statistics_spread >= LARGE_SPREAD) == (expected == 'mixture')
        logits = [sample.seg_logits.data for sample in found.values()]
        assert (logits[0] - logits[1]).abs().max() < 1e-5 * logits[1].abs().max()


def test_image_statistics_of_mixed_content_are_warned_about(warnings):
    """Only where auto would have chosen the mixture; the warning does not change the result."""
    model, image = build(), scene_of_kinds(300, 300)
    for mode in ('whole', 'banded'):
        sample = inference_segmentor(model, image, mode, statistics='image', return_logits=True)
        assert f'statistics_spread is {sample.statistics_spread:.2f}' in warnings.pop() and sample.statistics == 'image'
        plain = copy.deepcopy(model)
        plain.data_preprocessor.size = None
        expected = inference_segmentor(plain, image, mode, statistics='image', return_logits=True)
        assert expected.statistics_spread is None
        logits = expected.seg_logits.data
        assert (sample.seg_logits.data - logits).abs().max() < 1e-5 * logits.abs().max()
    alike = np.tile(image[-32:, -32:], (10, 10, 1))[:300, :300]
    for wanted, scene in (('image', alike), ('auto', image), ('mixture', image), ('image', image[:128, :128])):
        inference_segmentor(model, scene, statistics=wanted)
    assert not any('statistics_spread' in message for message in warnings)

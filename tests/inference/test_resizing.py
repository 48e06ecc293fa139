"""Resizing leaves at least one pixel per side, in inference, training and evaluation."""
import copy
import pickle

import numpy as np
import pytest
from mmengine.dataset import Compose
from mmengine.registry import TRANSFORMS, init_default_scope
from segmentors import build, digits_config

from xcit_mm.apis import inference_segmentor, init_model
from xcit_mm.errors import InputError
from xcit_mm.inference.pipeline import prepare_image
from xcit_mm.inference.resizing import keep_a_pixel


def pipeline(*steps):
    init_default_scope('mmseg')
    built = Compose(list(steps))
    for step in built.transforms:
        keep_a_pixel(step)
    return built


@pytest.mark.parametrize('step', [
    dict(type='Resize', scale=(2048, 512), keep_ratio=True), dict(type='Resize', scale_factor=0.1),
    dict(type='Resize', scale_factor=0.1, keep_ratio=True),
    dict(type='RandomResize', scale=(2048, 512), ratio_range=(0.5, 0.6), keep_ratio=True),
    dict(type='RandomChoiceResize', scales=[(512, 128)], keep_ratio=True),
    dict(type='RandomApply', prob=1.0, transforms=[dict(type='Resize', scale=(2048, 512), keep_ratio=True)]),
    dict(type='ResizeShortestEdge', scale=512, max_size=2048)], ids=lambda step: step['type'])
@pytest.mark.parametrize('size', [(1, 5000), (5000, 1), (1, 3)])
def test_the_shorter_side_stays(step, size):
    built = pipeline(step)
    for each in (built, copy.deepcopy(built), pickle.loads(pickle.dumps(built))):
        data = each(dict(img=np.zeros((*size, 3), np.uint8), gt_seg_map=np.zeros(size, np.uint8),
                         seg_fields=['gt_seg_map']))
        assert min(data['img'].shape[:2]) >= 1 and data['gt_seg_map'].shape == data['img'].shape[:2]
        ordinary = each(dict(img=np.zeros((300, 200, 3), np.uint8), seg_fields=[]))['img']  # its settings are restored
        assert ordinary.shape[0] > ordinary.shape[1] * 1.4


def test_a_line_of_pixels_is_segmented():
    config = digits_config()
    config.test_dataloader.dataset.pipeline.insert(1, dict(type='Resize', scale=(2048, 512), keep_ratio=True))
    image = np.zeros((1, 5000, 3), np.uint8)
    assert inference_segmentor(init_model(config), image).pred_sem_seg.data.shape == (1, 1, 5000)


class Halve:
    """A third-party transform that resizes in its own way."""

    def __call__(self, results):
        results['img'] = results['img'][::2, ::2]
        results['img_shape'] = results['img'].shape[:2]
        return results


@pytest.mark.parametrize('nested', [
    dict(type='RandomChoice', transforms=[[dict(type='Resize', scale=(size, size))] for size in (32, 64)]),
    dict(type='RandomApply', transforms=[dict(type='Resize', scale=(64, 64))], prob=1.0),
    dict(type='RandomChoice', transforms=[[dict(type='RandomFlip', prob=0.0), dict(type='Resize', scale=(64, 64))]]),
    dict(type='RandomChoiceResize', scales=[(64, 64)])])
def test_full_resolution_skips_nested_resizing(nested):
    model, image = build(), np.zeros((90, 70, 3), np.uint8)
    model.cfg.test_dataloader.dataset.pipeline.insert(1, nested)
    assert inference_segmentor(model, image, full_resolution=True).pred_sem_seg.shape == (90, 70)
    data = prepare_image(model.cfg, image, full_resolution=True)
    assert data['inputs'].shape == (3, 90, 70)


def test_full_resolution_refuses_other_resizing():
    TRANSFORMS.register_module(module=Halve, force=True)
    model = build()
    model.cfg.test_dataloader.dataset.pipeline.insert(1, dict(type='Halve'))
    with pytest.raises(InputError, match='cannot use full resolution: .* from 70 x 90 to 35 x 45 pixels'):
        inference_segmentor(model, np.zeros((90, 70, 3), np.uint8), full_resolution=True)

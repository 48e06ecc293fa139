"""Resizing leaves at least one pixel per side, in inference, training and evaluation."""
import copy
import pickle

import numpy as np
import pytest
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from segmentors import digits_config

from xcit_mm.apis import inference_segmentor, init_model
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
        ordinary = each(dict(img=np.zeros((300, 200, 3), np.uint8), seg_fields=[]))['img']  # the settings are as before
        assert ordinary.shape[0] > ordinary.shape[1] * 1.4


def test_a_line_of_pixels_is_segmented():
    config = digits_config()
    config.test_dataloader.dataset.pipeline.insert(1, dict(type='Resize', scale=(2048, 512), keep_ratio=True))
    image = np.zeros((1, 5000, 3), np.uint8)
    assert inference_segmentor(init_model(config), image).pred_sem_seg.data.shape == (1, 1, 5000)

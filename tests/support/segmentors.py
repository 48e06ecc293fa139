"""Small segmentors with random weights."""
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmseg.structures import SegDataSample

from xcit_mm.apis import init_model

CONFIG = Path(__file__).resolve().parents[2] / 'configs/xcit_upernet_digits.py'
SLIDING = dict(mode='slide', crop_size=(64, 48), stride=(40, 32))


def digits_config(**test_cfg):
    """Return the digits config with ``test_cfg`` updated, in a form that mmseg's ``inference_model`` accepts."""
    config = Config.fromfile(CONFIG)
    config.model.test_cfg.update(test_cfg)
    config.test_pipeline = [dict(type='LoadImageFromFile'), dict(type='PackSegInputs')]  # where mmseg looks for it
    return config


def build(**test_cfg):
    """Build a digits model; the weights are the same on every call."""
    torch.manual_seed(0)
    return init_model(digits_config(**test_cfg))


def build_mmseg(**test_cfg):
    """Build the same model with mmseg's own ``EncoderDecoder``, which supports only the modes whole and slide."""
    config = digits_config(**{'mode': 'whole', **test_cfg})
    config.model.type = 'EncoderDecoder'
    torch.manual_seed(0)
    return init_model(config)


def assert_same_labels(labels, expected, logits):
    """Compare labels (H, W) where the two highest logits (classes, H, W) differ by more than rounding error."""
    best = logits.topk(2, dim=0).values
    clear = best[0] - best[1] > 1e-4 * logits.abs().max()
    assert clear.float().mean() > 0.9 and torch.equal(labels[clear], expected[clear])


def scene_of_kinds(height, width):
    """Return an image with several kinds of content: (height, width, 3) uint8, BGR."""
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    image[:height // 2, width // 3:] //= 4
    image[height // 2:, :width // 2] = 7
    return image


def build_sample(image):
    return SegDataSample(metainfo=dict(ori_shape=image.shape[:2], img_shape=image.shape[:2]))

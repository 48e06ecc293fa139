"""A statistic set in the backbone is used in training, in the plain forward pass and in every inference mode."""
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from segmentors import digits_config

from xcit_mm.apis import inference_segmentor, init_model
from xcit_mm.backbone import XCiT
from xcit_mm.errors import InputError
from xcit_mm.export import export
from xcit_mm.statistics import build_statistics

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'


@pytest.fixture(scope='module')
def model():
    config = digits_config()
    config.model.backbone.statistics = dict(type='mixture', kinds=3)
    torch.manual_seed(0)
    return init_model(config)


def test_forward_uses_it(model):
    torch.manual_seed(0)
    images = torch.randn(2, 3, 96, 160)
    images[..., 80:] *= 0.1
    with torch.no_grad():
        for level, expected in zip(model.backbone(images),
                                   model.backbone(images, build_statistics(dict(type='mixture', kinds=3)))):
            assert torch.equal(level, expected)
        published = model.backbone(images, build_statistics('image'))[-1]
        assert (model.backbone(images)[-1] - published).abs().max() > 1e-4 * published.abs().max()


def test_modes_use_it_unless_told_otherwise(model):
    image = np.random.default_rng(0).integers(0, 256, (150, 170, 3), dtype=np.uint8)
    image[:, 80:] //= 8
    for statistics, expected in (('auto', 'mixture (kinds=3)'), ('image', 'image')):
        found = {mode: inference_segmentor(model, image, mode, statistics=statistics, return_logits=True)
                 for mode in ('whole', 'banded')}
        assert {sample.statistics for sample in found.values()} == {expected}
        logits = [sample.seg_logits.data for sample in found.values()]
        assert (logits[0] - logits[1]).abs().max() < 1e-5 * logits[0].abs().max()


def test_export_refuses_it(model, tmp_path):
    with pytest.raises(InputError, match='cannot export statistics'):
        export(model, tmp_path / 'a.onnx')


@pytest.mark.parametrize('statistics, message', [
    (3, 'statistics must be a name'), ('kind', 'statistics must be one of'),
    (dict(type='mixture', kinds=-1), 'kinds >= 1')])
def test_wrong_ones_are_refused(statistics, message):
    with pytest.raises(InputError, match=message):
        XCiT('nano_12_p8', statistics=statistics)


def test_recipe_trains_on_larger_crops():
    config = Config.fromfile(CONFIGS / 'xcit_upernet_mixture_nuclei.py')
    usual = Config.fromfile(CONFIGS / 'xcit_upernet_nuclei.py')
    assert config.model.backbone.statistics == 'mixture'
    crops = [next(step.crop_size for step in each.train_dataloader.dataset.pipeline if step.type == 'RandomCrop')
             for each in (config, usual)]
    assert tuple(crops[0]) == tuple(config.model.data_preprocessor.size) > tuple(crops[1])

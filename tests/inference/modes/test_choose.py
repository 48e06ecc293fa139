"""Mode ``auto`` selects a mode that fits the model, config and memory; errors name modes that cannot run."""
import numpy as np
import pytest
import torch
from segmentors import SLIDING, build

from xcit_mm.apis import inference_segmentor
from xcit_mm.errors import InputError
from xcit_mm.inference.modes import Auto, Banded, Budget, Whole, build_mode, footprint
from xcit_mm.inference.scene import Scene
from xcit_mm.ops.rows import Stored

CPU = torch.device('cpu')


@pytest.fixture(scope='module')
def image():
    return np.random.default_rng(0).integers(0, 256, (150, 141, 3), dtype=np.uint8)


def scene_of_size(height, width):
    """Return a scene whose pixels use no memory."""
    return Scene(Stored(torch.zeros(1, 1, 3).expand(height, width, -1)), (height, width))


def test_auto_slides_only_if_the_config_does(image):
    assert inference_segmentor(build(), image).mode == 'banded'
    assert inference_segmentor(build(**SLIDING), image).mode == 'slide'


@pytest.mark.parametrize('part', ['backbone', 'decode_head'])
def test_auto_runs_the_whole_image_if_a_norm_cannot_be_folded(part):
    model = build()
    name = next(name for name, module in getattr(model, part).named_modules()
                if isinstance(module, torch.nn.BatchNorm2d))
    parent, _, name = name.rpartition('.')
    setattr(getattr(model, part).get_submodule(parent), name, torch.nn.InstanceNorm2d(64).eval())
    assert Auto().choose(model, scene_of_size(8, 8), Budget(CPU)).name == 'whole'


def test_auto_runs_the_whole_image_for_other_backbones(image):
    model = build()
    model.backbone = torch.nn.Sequential(model.backbone).eval()
    assert inference_segmentor(model, image).mode.startswith('whole (the backbone Sequential cannot run')


def test_insufficient_memory_is_reported_before_the_work_begins(image):
    model = build()
    for mode in ('auto', 'whole'):
        with pytest.raises(InputError, match='to segment 141 x 150 pixels in mode .* of the limit of 1 MB are free; '
                                             'raise the limit'):
            inference_segmentor(model, image, mode, max_memory='1MB')
    assert inference_segmentor(model, image, max_memory=10**11).mode == 'banded'
    with pytest.raises(InputError, match='segment 100000 x 100000 .* free memory, '
                                         'or use a smaller image or mode banded'):
        Whole().choose(model, scene_of_size(10**5, 10**5), Budget(CPU))


def test_auto_selects_the_first_mode_that_fits(monkeypatch):
    monkeypatch.setattr(Auto, 'candidates', lambda self, model: [Whole(), Banded()])
    model, scene = build(), scene_of_size(3000, 3000)
    whole, banded = (mode.estimate_bytes(model, 3000, 3000) for mode in (Whole(), Banded()))
    assert banded < 0.6 * whole
    for free, name in ((whole, 'whole'), (whole - 1, 'banded'), (banded, 'banded')):
        monkeypatch.setattr(footprint, 'available_bytes', lambda device, limit, free=free: free)
        assert Auto().choose(model, scene, Budget(CPU)).name == name
    with pytest.raises(InputError, match='in mode banded'):
        Auto().choose(model, scene, Budget(CPU, result_bytes=1))


def test_impossible_modes_are_named(image):
    model = build()
    with pytest.raises(InputError, match='mode must be one of auto, banded, delegated, slide, whole, but got .bands'):
        inference_segmentor(model, image, 'bands')
    with pytest.raises(InputError, match='mode slide needs model.test_cfg.crop_size'):
        inference_segmentor(model, image, 'slide')
    with pytest.raises(InputError, match='a stride no larger than the crop'):
        inference_segmentor(build(crop_size=(32, 32), stride=(48, 32)), image, 'slide')
    with pytest.raises(InputError, match="statistics must be one of .*image.*, but got 'nearby'"):
        inference_segmentor(model, image, statistics='nearby')
    for mode in ('auto', 'whole', 'banded', 'delegated'):
        with pytest.raises(InputError, match='eval mode'):
            inference_segmentor(model.train(), image, mode)
    with pytest.raises(InputError, match='needs the whole image'):
        list(build_mode('delegated').bands(model.eval(), scene_of_size(8, 8), None, None))

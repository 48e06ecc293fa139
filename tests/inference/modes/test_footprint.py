"""Memory estimates are close to the measured peak, and never below it."""
import pytest
import torch
from benchmarks.measurement import peak_memory
from mmengine.config import Config
from segmentors import CONFIG, build

from xcit_mm.apis import init_model
from xcit_mm.inference.modes import build_mode
from xcit_mm.inference.scene import Normalised, Scene
from xcit_mm.inference.segmentation import Options, Segmentation
from xcit_mm.ops.rows import Stored


@pytest.mark.slow
@pytest.mark.parametrize('name, kind', [
    ('upernet', 'xcit_mm.heads.EfficientUPerHead'), ('upernet', 'UPerHead'), ('sem_fpn', 'FPNHead')])
@pytest.mark.parametrize('mode', ['whole', 'banded', 'slide'])
def test_estimates_are_near_and_not_below(monkeypatch, tmp_path, name, kind, mode):
    config = Config.fromfile(CONFIG.with_name(f'xcit_{name}_ade20k.py'))
    config.model.decode_head.type = kind
    config.model.backbone.init_cfg = None
    config.model.test_cfg = dict(mode='slide', crop_size=(512, 512), stride=(341, 341))
    model = init_model(config)
    sizes = [(512, 512), (640, 512) if mode == 'slide' else (912, 768)]  # one window and two
    monkeypatch.setattr('xcit_mm.inference.bands.backbone.FILE_BYTES', 0)
    for scratch, (height, width) in zip([None, tmp_path], sizes):

        def run(size=(height, width), scratch=scratch):
            image = Normalised(Stored(torch.zeros(*size, 3, dtype=torch.uint8)), model.data_preprocessor)
            for _ in Segmentation(model, lambda: Scene(image, size), Options(mode, scratch=scratch)):
                pass

        estimate = build_mode(mode, scratch).estimate_bytes(model, height, width)
        assert 0.6 < peak_memory(run, torch.device('cpu')) / estimate < 1


def test_the_hidden_layer_counts_in_full_on_a_gpu():
    model = build()
    estimates = {}
    for device in ('cpu', 'meta'):  # meta stands in for any device but the CPU
        model.to(device)
        estimates[device] = {mode: build_mode(mode).estimate_bytes(model, 2048, 1536) for mode in ('whole', 'banded')}
    patch, channels = model.backbone.variant.patch_size, model.backbone.variant.embed_dim
    tokens = 2048 * 1536 // patch**2
    difference = 2 * 4 * 4 * channels * (tokens - 4096)
    assert estimates['meta']['whole'] - estimates['cpu']['whole'] == pytest.approx(difference, abs=2)
    assert estimates['meta']['banded'] == estimates['cpu']['banded']


def test_another_backbone_counts():
    model = build()
    expected = build_mode('whole').estimate_bytes(model, 512, 512)
    model.backbone = torch.nn.Sequential(model.backbone).eval()
    assert 0.8 < build_mode('whole').estimate_bytes(model, 512, 512) / expected < 1.5

"""The memory of unknown backbones is measured on a small image, once."""
import pytest
import torch
from torch import nn

from xcit_mm.inference.modes.probe import SIDE, LiveTensors, bytes_per_pixel


def test_only_tensors_that_exist_at_the_same_time_count():
    x = torch.zeros(1000)
    with LiveTensors() as live:
        y = x + 1  # 4 kB
        y.add_(1)
        for _ in range(3):
            y = (y * 2).view(10, 100).flatten()  # two tensors of 4 kB exist at the same time
        del y
        x.exp()
    assert live.peak == 8000


def test_the_measurement_predicts_larger_images():
    backbone = nn.Sequential(
        nn.Conv2d(3, 16, 7, 2, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1)).eval()
    image = torch.zeros(1, 3, 320, 448)
    with torch.no_grad(), LiveTensors() as live:
        backbone(image)
    assert bytes_per_pixel(backbone) * 320 * 448 == pytest.approx(live.peak, rel=0.05)


def test_a_backbone_runs_once_and_keeps_its_channels_and_dtype():
    seen = []
    backbone = nn.Sequential(nn.Conv2d(5, 2, 3)).bfloat16()
    backbone.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    assert bytes_per_pixel(backbone) == bytes_per_pixel(backbone) == pytest.approx(4, rel=0.05)
    assert [(x.shape, x.dtype) for x in seen] == [((1, 5, SIDE, SIDE), torch.bfloat16)]


def test_a_backbone_that_cannot_run_on_the_probe_counts_nothing():
    assert bytes_per_pixel(nn.Sequential(nn.Conv2d(3, 2, 1), nn.Linear(7, 7))) == 0

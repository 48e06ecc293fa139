"""The contenders of each benchmark: callables that do the same job on the same input."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.measurement import Run
from benchmarks.peers import build_peers
from xcit_mm.apis import inference_segmentor, init_model
from xcit_mm.backbone import XCiT
from xcit_mm.config import load_config
from xcit_mm.layers import CrossCovarianceAttention
from xcit_mm.ops import products, winograd

FORMS = ('direct', 'gram')
TRUNKS = ('xcit_mm, no pyramid', 'timm XCiT trunk')  # the backbones to run on other runtimes
STEPS = (1, 2, 4, 8)  # strides of a pyramid's maps, relative to the finest


def attention_layers(channels: int, num_heads: int) -> dict[str, nn.Module]:
    """Return both forms of one XCA layer, with the same weights."""
    layers: dict[str, nn.Module] = {form: CrossCovarianceAttention(channels, num_heads, form) for form in FORMS}
    layers['gram'].load_state_dict(layers['direct'].state_dict())
    return layers


def backbones(arch: str, with_peers: bool) -> dict[str, nn.Module]:
    """Return our backbone in several configurations, and its peers. The XCiT peers have no pyramid."""
    ours = {'xcit_mm': XCiT(arch, channels_last=True),
            'xcit_mm, direct form': XCiT(arch, channels_last=True, attention='direct'),
            'xcit_mm, no pyramid': XCiT(arch, channels_last=True, pyramid=False)}
    return ours | (build_peers(arch) if with_peers else {})


class OnPyramid(nn.Module):
    """A head whose input is one tensor: the channels-last maps of a square image at strides 4, 8, 16 and 32."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        """Compute logits: (B, pixels of all maps, C) -> (B, classes, H / 4, W / 4)."""
        finest = round((x.shape[1] / (1 + 1 / 4 + 1 / 16 + 1 / 64)) ** 0.5)
        sides = [finest // step for step in STEPS]
        maps = x.split([side**2 for side in sides], dim=1)
        return self.head([part.unflatten(1, (side, side)).permute(0, 3, 1, 2) for part, side in zip(maps, sides)])


def pyramid_pixels(size: int) -> int:
    """Return the number of pixels in all maps at strides 4, 8, 16 and 32 for an image of ``size`` x ``size`` px."""
    return sum((size // 4 // step)**2 for step in STEPS)


def heads(channels: int) -> dict[str, nn.Module]:
    """Return mmseg's UPerHead and ours, configured as in the ADE20K recipes, with the same weights."""
    from mmseg.models.decode_heads import UPerHead  # the other benchmarks run without mmseg

    from xcit_mm.heads import EfficientUPerHead

    settings: dict[str, Any] = dict(in_channels=[channels] * 4, in_index=[0, 1, 2, 3], channels=512, num_classes=150,
                                    norm_cfg=dict(type='BN'), align_corners=False)
    ours, theirs = EfficientUPerHead(**settings), UPerHead(**settings)
    theirs.load_state_dict(ours.state_dict())
    return {'EfficientUPerHead': OnPyramid(ours), 'mmseg UPerHead': OnPyramid(theirs)}


def under_autocast(modules: dict[str, nn.Module], device: torch.device, dtype: torch.dtype) -> dict[str, nn.Module]:
    """Make forward passes run in mixed precision unless ``dtype`` is float32, and return the same modules."""
    for module in modules.values() if dtype != torch.float32 else ():
        module.forward = torch.autocast(device.type, dtype)(module.forward)
    return modules


def forward_runs(modules: Mapping[str, nn.Module], x: Tensor) -> dict[str, Run]:
    """Return callables that each run inference on ``x``, in eval mode and without an autograd graph."""
    return {name: torch.inference_mode()(partial(_frozen(module.to(x)), x)) for name, module in modules.items()}


def training_runs(modules: Mapping[str, nn.Module], x: Tensor, step: bool) -> dict[str, Run]:
    """Return callables that each run a forward and backward pass on ``x``, then an AdamW step if ``step`` is set."""
    return {name: _training_run(module.to(x), x, step) for name, module in modules.items()}


def _training_run(module: nn.Module, x: Tensor, step: bool) -> Run:
    module.train()
    optimizer = torch.optim.AdamW(module.parameters())
    x = x.clone().requires_grad_(not step)  # a layer's input needs a gradient, but images do not

    def run() -> None:
        outputs = module(x)
        outputs = outputs if isinstance(outputs, (tuple, list)) else [outputs]
        torch.autograd.backward(outputs, [torch.ones_like(output) for output in outputs])
        if step:
            optimizer.step()
        optimizer.zero_grad()
        x.grad = None

    return run


def segmentors(paths: list[Path], device: torch.device) -> dict[str, nn.Module]:
    """Build each config's model with random weights."""
    return {path.stem: _frozen(init_model(load_config(path), device=device)) for path in paths}


def inference_runs(models: Mapping[str, nn.Module], modes: Sequence[str], size: int) -> dict[str, Run]:
    """Return callables that run ``inference_segmentor`` in each mode on a noise image of ``size`` x ``size`` px."""
    image = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
    return {f'{name}, {mode}': partial(inference_segmentor, model, image, mode)
            for name, model in models.items() for mode in modes}


def convolution_runs(channels: int, rows: int, width: int) -> dict[str, Run]:
    """Return callables that convolve a band with Winograd's algorithm, as banded inference does, and with torch."""
    x, weight = torch.randn(rows + 2, width, channels), torch.randn(channels, channels, 3, 3)
    kernel = winograd.transform_kernel(weight)
    weight = weight.contiguous(memory_format=torch.channels_last)
    image = x.permute(2, 0, 1)[None]
    return {'winograd': partial(winograd.convolve, x, kernel),
            'conv2d': lambda: torch.nn.functional.conv2d(image, weight, padding=(0, 1))}


def product_runs(tokens: int, channels: int) -> dict[str, Run]:
    """Return callables that compute the product in the first layer of an MLP with each library."""
    x, weight, bias = (torch.randn(*shape) for shape in (
        (tokens, channels), (4 * channels, channels), (4 * channels, )))

    def run(library: str) -> Tensor:
        with patch.multiple(products, library=lambda: library, LEAST_MULTIPLY_ADDS=0):
            return products.linear(x, weight, bias)

    return {library: partial(run, library) for library in products.LIBRARIES}


def _frozen(module: nn.Module) -> nn.Module:
    # torch's FLOP counter fails if a parameter requires a gradient.
    module.eval()  # do not chain: the train() of some peers returns None
    return module.requires_grad_(False)

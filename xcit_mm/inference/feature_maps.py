"""Draw the feature maps of an XCiT and the attention between its channels."""
from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import cv2
import numpy as np
import torch
from mmengine.model import BaseModel
from PIL import Image, ImageDraw
from torch import Tensor, nn

from ..backbone import XCiT
from ..errors import InputError
from ..layers import XCiTBlock
from ..ops.second_moment import second_moment
from ..statistics import ImageStatistics

QUANTILES = (0.01, 0.99)  # quantiles of a component that map to 0 and 255
MIN_MAP_SIZE, MARGIN = 48, 20  # smallest side of an attention map, and space for the labels, px
MAX_PANEL_SIZE = 1024  # longest side of the image and of each feature map in a picture, px


@torch.no_grad()
def inspect(model: BaseModel, data: dict) -> tuple[tuple[Tensor, ...], list[Tensor]]:
    """Run the backbone of a model on an image and record the attention of its blocks.

    Args:
        model: a segmentor or detector around an XCiT, from ``init_model``.
        data: from ``prepare_image``.

    Returns:
        The feature maps (C, h, w), without the preprocessor's padding, and each block's channel attention (heads, d,
        d), in which every row sums to 1.

    Raises:
        InputError: the backbone is not an XCiT.
    """
    backbone = model.backbone
    if not isinstance(backbone, XCiT):
        raise InputError(f'cannot draw feature maps: the backbone must be an XCiT, but got a {type(backbone).__name__}')
    attention: list[Tensor] = []

    def record(norm: nn.LayerNorm, _: tuple, tokens: Tensor) -> None:
        attention.append(layers[norm].attention_map(second_moment(tokens))[0].float().cpu())

    layers = {block.norm1: block.attn for block in cast(list[XCiTBlock], list(backbone.blocks))}
    hooks = [norm.register_forward_hook(record) for norm in layers]
    try:
        batch = model.data_preprocessor(dict(inputs=[data['inputs']], data_samples=[data['data_samples']]), False)
        levels = backbone(batch['inputs'], *([ImageStatistics()] if backbone.statistics else []))
    finally:
        for hook in hooks:
            hook.remove()
    sides = data['data_samples'].img_shape[:2]
    cropped = []
    for level, stride in zip(levels, backbone.out_strides):
        height, width = (-(-side // stride) for side in sides)
        cropped.append(level[0, :, :height, :width].float().cpu())
    return tuple(cropped), attention


def principal_colors(features: Tensor) -> np.ndarray:
    """Show the three leading principal components of a feature map as red, green and blue.

    Args:
        features: (C, h, w).

    Returns:
        (h, w, 3) uint8. A component's sign is arbitrary, so its weight of largest magnitude is made positive.
    """
    points = features.flatten(1).T.double()  # (h * w, C)
    points = points - points.mean(dim=0)
    axes = torch.linalg.eigh(points.T @ points).eigenvectors[:, -3:].flip(1)  # (C, 3), the leading one first
    largest = axes.gather(0, axes.abs().argmax(dim=0, keepdim=True))
    components = points @ (axes * largest.sign())
    low, high = (torch.from_numpy(np.quantile(components.numpy(), share, axis=0)) for share in QUANTILES)
    scaled = ((components - low) / (high - low).clamp_min(1e-12)).clamp(0, 1) * 255
    return scaled.round().byte().unflatten(0, features.shape[1:]).numpy()


def draw_features(image: np.ndarray, levels: Sequence[Tensor], strides: Sequence[int]) -> Image.Image:
    """Draw the image and its feature maps side by side, each labelled with its stride.

    Args:
        image: (H, W, 3) uint8, RGB.
        levels: feature maps (C, h, w).
        strides: image pixels per pixel of each map.
    """
    scale = min(MAX_PANEL_SIZE / max(image.shape[:2]), 1.0)
    height, width = (max(round(side * scale), 1) for side in image.shape[:2])
    canvas = Image.new('RGB', ((width + 4) * (len(levels) + 1) - 4, height + MARGIN), 'white')
    draw = ImageDraw.Draw(canvas)
    pictures = [('image', image)] + [(f'stride {stride}', principal_colors(level))
                                     for stride, level in zip(strides, levels)]
    for index, (title, picture) in enumerate(pictures):
        left = index * (width + 4)
        canvas.paste(Image.fromarray(picture).resize((width, height), Image.Resampling.NEAREST), (left, MARGIN))
        draw.text((left + 4, 4), title, fill='black')
    return canvas


def draw_attention(attention: Sequence[Tensor]) -> Image.Image:
    """Draw attention maps, one row per block and one column per head; each map's brightest pixel is its maximum.

    Args:
        attention: maps (heads, d, d) for each block; row i holds the weight of every channel of v in output channel i.
    """
    heads, side = attention[0].shape[:2]
    side *= max(1, -(-MIN_MAP_SIZE // side))
    canvas = Image.new('RGB', (heads * (side + 4) + MARGIN, len(attention) * (side + 4) + MARGIN), 'white')
    draw = ImageDraw.Draw(canvas)
    for head in range(heads):
        draw.text((MARGIN + head * (side + 4) + 4, 4), f'{head}', fill='black')
    for block, maps in enumerate(attention):
        top = MARGIN + block * (side + 4)
        draw.text((4, top + 4), f'{block}', fill='black')
        for head, weights in enumerate(maps):
            grey = (weights / weights.max() * 255).round().byte().numpy()
            colors = cv2.cvtColor(cv2.applyColorMap(grey, cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGB)
            picture = Image.fromarray(colors).resize((side, side), Image.Resampling.NEAREST)
            canvas.paste(picture, (MARGIN + head * (side + 4), top))
    return canvas

"""Pictures of a segmentation."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

OPACITY = 0.5


def draw_overlay(image: np.ndarray, labels: np.ndarray, classes: Sequence[str],
                 palette: Sequence[Sequence[int]]) -> Image.Image:
    """Blend class colours over an image, with a legend of the classes that occur below it.

    Class 0 is blended like any other, unless its colour is black: a background stays as it is.

    Args:
        image: (H, W, 3) uint8, RGB.
        labels: (H, W) class indices.
        classes: name of each class.
        palette: RGB of each class, 0 … 255.

    Returns:
        RGB picture of width max(W, 160) and of height H plus the legend.
    """
    colors = np.asarray(palette, np.uint8)
    tinted = image * (1 - OPACITY) + colors[labels] * OPACITY
    visible = colors.any(axis=1)[labels][..., None]
    blended = Image.fromarray(np.where(visible, tinted, image).astype(np.uint8))
    present = [index for index in np.unique(labels) if colors[index].any()]
    return _add_legend(blended, [(classes[index], tuple(int(c) for c in colors[index])) for index in present])


def _add_legend(picture: Image.Image, entries: list[tuple[str, tuple[int, ...]]]) -> Image.Image:
    size = max(12, picture.width // 80)  # pixels of a line of text
    font, width = ImageFont.load_default(size), max(picture.width, 160)
    positions, x, y = [], size // 2, size // 2
    for name, _ in entries:
        length = int(font.getlength(name)) + 2 * size
        if x + length > width and x > size:
            x, y = size // 2, y + int(1.5 * size)
        positions.append((x, y))
        x += length + size // 2
    canvas = Image.new('RGB', (width, picture.height + (y + 2 * size if entries else 0)), 'white')
    canvas.paste(picture, (0, 0))
    draw = ImageDraw.Draw(canvas)
    for (name, color), (x, y) in zip(entries, positions):
        top = picture.height + y
        draw.rectangle((x, top, x + size, top + size), fill=color, outline='black')
        draw.text((x + 1.4 * size, top + size / 2), name, fill='black', font=font, anchor='lm')
    return canvas

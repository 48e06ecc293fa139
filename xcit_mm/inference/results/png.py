"""Write labels as PNG files."""
from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from .record import result_file
from .sink import SINKS, ResultMeta, Sink, whole_map


@SINKS.register_module(name='png')
class PngLabels(Sink):
    """A sink for ``<name>_classes.png`` (class indices) and ``<name>_palette.png`` (the same in colour).

    If a class index is above 255, the first file has 16 bits per pixel. If there are more than 256 classes, the second
    is left out, because a palette holds only 256 colours.
    """

    summary = 'PNG files of class indices, plain and with a palette'
    endings = '_classes.png', '_palette.png'

    def write_labels(self, folder: Path, bands: Iterable[Tensor], meta: ResultMeta) -> None:
        indices = draw_indices(whole_map(bands))
        save_png(indices, folder / f'{meta.name}_classes.png')
        if len(meta.palette) <= 256:
            colors = indices.copy()
            # All 256 colours, so that other labels, such as that of pixels without data, are black.
            colors.putpalette(np.asarray(meta.palette, np.uint8).tobytes().ljust(3 * 256, b'\0'))
            save_png(colors, folder / f'{meta.name}_palette.png')


@SINKS.register_module(name='masks')
class PngMasks(Sink):
    """A sink for ``<name>.png``: class indices, as in the data set's own masks and as benchmark servers expect them."""

    summary = 'PNG files of class indices with the names of the images'
    endings = ('.png', )

    def write_labels(self, folder: Path, bands: Iterable[Tensor], meta: ResultMeta) -> None:
        save_png(draw_indices(whole_map(bands)), folder / f'{meta.name}.png')


def draw_indices(labels: Tensor) -> Image.Image:
    """Return class indices (H, W) as a picture with 8 bits per pixel, or with 16 if any index is above 255."""
    return Image.fromarray(labels.numpy().astype(np.uint8 if int(labels.max()) < 256 else np.uint16))


def save_png(picture: Image.Image, path: Path) -> None:
    """Write a picture; the file is written completely or not at all.

    Raises:
        InputError: the file cannot be written.
    """
    with result_file(path) as file:
        picture.save(file, format='PNG')

"""Class probabilities as PNG files."""
from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from .png import save_png
from .sink import ResultMeta


def write_probabilities(folder: Path, probabilities: Tensor, classes: Sequence[int], meta: ResultMeta) -> None:
    """Write a 16-bit probability map for each class: 0 … 65535 stands for 0 … 1.

    Args:
        folder: created if needed.
        probabilities: (len(classes), H, W), 0 … 1, on the CPU.
        classes: indices of these classes.
        meta: names and sizes.

    Raises:
        InputError: a file cannot be written.
    """
    for index, values in zip(classes, probabilities.numpy()):
        picture = Image.fromarray(np.rint(values * 65535).astype(np.uint16))
        save_png(picture, folder / f'{meta.name}{probability_ending(index, meta.classes)}')


def probability_ending(index: int, classes: Sequence[str], suffix: str = 'png') -> str:
    """Return the part of a probability map's file name after the image name: the index and name of the class."""
    return f'_probability_{index}_{re.sub("[^A-Za-z0-9-]+", "-", classes[index])}.{suffix}'

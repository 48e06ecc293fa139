"""Image files that are decoded in full."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL.Image import Image as PillowImage
from torch import Tensor

from .arrays import to_color_type
from .decode import decode
from .local_file import read_bytes
from .source import SOURCES, Source

Image = str | Path | np.ndarray | PillowImage


@SOURCES.register_module()
class ImageFile(Source):
    """A PNG, JPEG, BMP or WebP file; the decoded image stays in memory while the source is open."""

    suffixes = ('.bmp', '.jpeg', '.jpg', '.png', '.webp')
    formats = ('PNG', 'JPEG', 'BMP', 'WEBP')

    def __init__(self, path: Path) -> None:
        self.content = torch.from_numpy(read_image(path))
        super().__init__(path, *self.content.shape[:2])

    def compute(self, start: int, stop: int) -> Tensor:
        return self.content[start:stop]


def read_image(image: Image, color_type: str = 'color', imdecode_backend: str = 'cv2') -> np.ndarray:
    """Read an image file, or convert an array or a PIL image; the default result is (H, W, 3) uint8, BGR.

    Args:
        image: see ``inference_segmentor``.
        color_type, imdecode_backend: arguments of mmcv's ``LoadImageFromFile``; see ``decode``.

    Raises:
        InputError: see ``inference_segmentor``.
    """
    if isinstance(image, (str, Path)):
        return decode(read_bytes(image), str(image), color_type, imdecode_backend)
    return to_color_type(image, color_type, imdecode_backend)

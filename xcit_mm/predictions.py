"""Writing what a segmentor says of an image."""
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from .files import complete_file
from .visualization import draw_overlay


def write_segmentation(out_dir: Path, name: str, image: np.ndarray, labels: np.ndarray, meta: dict) -> None:
    """Write ``<name>_classes.png`` (class indices) and ``<name>_overlay.png``; each appears complete.

    Args:
        out_dir: folder, made if needed.
        name: stem of both files.
        image: (H, W, 3) uint8, BGR.
        labels: (H, W) class indices; with one above 255, the PNG of indices has 16 bits.
        meta: ``classes`` and ``palette`` (RGB).

    Raises:
        InputError: the folder cannot be written to.
    """
    pictures = dict(
        classes=Image.fromarray(labels.astype(np.uint8 if labels.max() < 256 else np.uint16)),
        overlay=draw_overlay(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), labels, meta['classes'], meta['palette']))
    for kind, picture in pictures.items():
        with complete_file(out_dir / f'{name}_{kind}.png') as file:
            picture.save(file, format='PNG')

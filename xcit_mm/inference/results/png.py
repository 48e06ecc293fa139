"""Writing what a model says of an image."""
from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
from mmengine.structures import InstanceData
from PIL import Image

from ...files import complete_file
from .overlay import draw_instances, draw_overlay


def write_segmentation(out_dir: Path, name: str, image: np.ndarray, labels: np.ndarray, meta: dict) -> None:
    """Write ``<name>_classes.png`` (class indices), ``<name>_palette.png`` (in colours) and ``<name>_overlay.png``.

    Each appears complete. A palette holds 256 colours; with more classes, the second is left out.

    Args:
        out_dir: folder, made if needed.
        name: stem of the files.
        image: (H, W, 3) uint8, BGR.
        labels: (H, W) class indices; with one above 255, the PNG of indices has 16 bits.
        meta: ``classes`` and ``palette`` (RGB).

    Raises:
        InputError: the folder cannot be written to.
    """
    indices = Image.fromarray(labels.astype(np.uint8 if labels.max() < 256 else np.uint16))
    overlay = draw_overlay(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), labels, meta['classes'], meta['palette'])
    pictures = dict(classes=indices, overlay=overlay)
    if len(meta['palette']) <= 256:
        pictures['palette'] = indices.copy()
        pictures['palette'].putpalette(np.asarray(meta['palette'], np.uint8).tobytes())
    for kind, picture in pictures.items():
        with complete_file(out_dir / f'{name}_{kind}.png') as file:
            picture.save(file, format='PNG')


def write_detection(out_dir: Path, name: str, image: np.ndarray, instances: InstanceData, meta: dict) -> None:
    """Write ``<name>_instances.json`` and ``<name>_overlay.png``; each appears complete.

    The JSON is a list with an object for each instance: ``category`` (a name), ``score``, ``bbox`` (x, y, width,
    height in pixels), and ``segmentation``, a mask in COCO's run-length encoding.

    Args:
        out_dir: folder, made if needed.
        name: stem of both files.
        image: (H, W, 3) uint8, BGR.
        instances: ``pred_instances`` of ``inference_detector`` with ``rle``, on the CPU.
        meta: ``classes`` and ``palette`` (RGB).

    Raises:
        InputError: the folder cannot be written to.
    """
    rows = [dict(category=meta['classes'][label], score=score, bbox=[left, top, right - left, bottom - top])
            for label, score, (left, top, right, bottom) in zip(
                instances.labels.tolist(), instances.scores.tolist(), instances.bboxes.tolist())]
    if 'masks' in instances:
        for row, mask in zip(rows, instances.masks):
            row['segmentation'] = dict(size=mask['size'], counts=mask['counts'].decode())
    with complete_file(out_dir / f'{name}_instances.json') as file:
        file.write_text(json.dumps(rows))
    with complete_file(out_dir / f'{name}_overlay.png') as file:
        draw_instances(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), instances, meta).save(file, format='PNG')

"""Write scenes with exact labels as images, masks and COCO annotations."""
from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np


@dataclass
class Scene:
    """One image and its labels.

    Attributes:
        image: (H, W, 3) uint8, RGB.
        mask: (H, W) uint8, class indices; 0 is the background.
        instances: (class index, (H, W) bool mask) for each object; the masks do not overlap.
        name: stem of its file names (default: its index in the split).
    """
    image: np.ndarray
    mask: np.ndarray
    instances: list[tuple[int, np.ndarray]]
    name: str | None = None


def write_split(root: Path, split: str, scenes: Iterable[Scene], classes: Sequence[str]) -> None:
    """Write ``images/<split>/*.png``, ``masks/<split>/*.png`` and ``annotations/instances_<split>.json``.

    Raises:
        OSError: a file cannot be written.
    """
    images: list[dict] = []
    annotations: list[dict] = []
    for image_id, scene in enumerate(scenes, start=1):
        name = f'{scene.name or format(image_id - 1, "05d")}.png'
        _write_png(root / 'images' / split / name, scene.image[..., ::-1])
        _write_png(root / 'masks' / split / name, scene.mask)
        height, width = scene.mask.shape
        images.append(dict(id=image_id, file_name=name, height=height, width=width))
        for label, mask in scene.instances:
            annotations.append(dict(id=len(annotations) + 1, image_id=image_id, **_to_coco(label, mask)))
    categories = [dict(id=index, name=name) for index, name in enumerate(classes) if index]
    (root / 'annotations').mkdir(exist_ok=True)
    (root / 'annotations' / f'instances_{split}.json').write_text(
        json.dumps(dict(images=images, annotations=annotations, categories=categories)))


def _write_png(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), image):  # OpenCV does not raise
        raise OSError(f'OpenCV could not write {path.name}; check whether the disk is full')


def _to_coco(label: int, mask: np.ndarray) -> dict:
    """Return the COCO fields for one instance: the box (x, y, width, height) in pixels and the uncompressed RLE."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    x, y = int(columns[0]), int(rows[0])
    # COCO counts runs column by column, starting with a run of zeros.
    pixels = np.concatenate(([0], mask.ravel(order='F'), [0])).astype(np.int8)
    edges = np.flatnonzero(np.diff(pixels))
    counts = np.diff(np.concatenate(([0], edges, [mask.size]))).tolist()
    if counts[-1] == 0:
        counts.pop()
    return dict(category_id=label, iscrowd=0, area=int(mask.sum()),
                bbox=[x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1],
                segmentation=dict(size=list(mask.shape), counts=counts))

"""``digits``: composed scenes of real handwritten digits over real photographs, made without a download.

The digits are the 1,797 scans of scikit-learn's ``load_digits``, the backgrounds photographs that
scikit-learn and scikit-image ship. The scenes are composed, not photographed: digits are enlarged
from 8x8, coloured and pasted over dimmed crops. No scan and no photograph serves both splits.
"""
from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import skimage.data
import sklearn.datasets
from rich.progress import track

from ..errors import InputError

CLASSES = ('background', *'0123456789')
SPLITS = ('train', 'val')
NUM_SCENES = dict(train=4000, val=200)
SCENE_SIZE = 128  # pixels along a side
DIGITS_PER_SCENE = (4, 9)  # at least, at most, as far as they find room
DIGIT_SIZE = (36, 64)  # pixels along a side
DIMMING = 0.5  # of the photographs, so that any ink can be the brighter
MIN_CONTRAST = 70  # grey levels of 255 by which ink is brighter than what lies below it
FIRST_HELD_OUT_SCAN = 1347  # scans come writer by writer, so the last quarter has other hands
PHOTOGRAPHS = dict(
    train=('astronaut', 'brick', 'chelsea', 'china', 'coins', 'gravel', 'hubble_deep_field',
           'immunohistochemistry', 'moon', 'retina', 'rocket', 'stereo_motorcycle'),
    val=('camera', 'coffee', 'flower', 'grass'))


@dataclass
class Scene:
    """One composed image and its exact labels.

    Attributes:
        image: (S, S, 3) uint8, RGB.
        mask: (S, S) uint8, index into ``CLASSES``.
        instances: (class index, (S, S) bool mask) of each digit; the masks do not overlap.
    """
    image: np.ndarray
    mask: np.ndarray
    instances: list[tuple[int, np.ndarray]]


def load_photographs(split: str) -> list[np.ndarray]:
    """The background photographs of a split, (H, W, 3) uint8, RGB."""
    photographs = []
    for name in PHOTOGRAPHS[split]:
        if name in ('china', 'flower'):
            photograph = sklearn.datasets.load_sample_image(f'{name}.jpg')
        else:
            photograph = getattr(skimage.data, name)()
        if isinstance(photograph, tuple):  # a stereo pair and its disparity
            photograph = photograph[0]
        if photograph.ndim == 2:
            photograph = np.repeat(photograph[..., None], 3, axis=2)
        photographs.append(photograph)
    return photographs


def load_scans(split: str) -> tuple[np.ndarray, np.ndarray]:
    """The scans of a split, (M, 8, 8) float32 ink in 0 … 1, and the digits that they show, (M,)."""
    digits = sklearn.datasets.load_digits()
    part = slice(None, FIRST_HELD_OUT_SCAN) if split == 'train' else slice(FIRST_HELD_OUT_SCAN, None)
    return (digits.images[part] / 16).astype(np.float32), digits.target[part]


def compose_scenes(split: str, count: int, seed: int = 0) -> Iterator[Scene]:
    """Compose ``count`` scenes; scene i of a split depends on the seed and on i alone."""
    photographs, (scans, targets) = load_photographs(split), load_scans(split)
    for index in range(count):
        rng = np.random.default_rng([seed, SPLITS.index(split), index])
        scene = Scene(_random_crop(photographs[rng.integers(len(photographs))], rng),
                      np.zeros((SCENE_SIZE, SCENE_SIZE), np.uint8), [])
        occupied = np.zeros((SCENE_SIZE, SCENE_SIZE), bool)
        for _ in range(rng.integers(DIGITS_PER_SCENE[0], DIGITS_PER_SCENE[1] + 1)):
            scan = rng.integers(len(scans))
            _paste_digit(scene, scans[scan], int(targets[scan]) + 1, occupied, rng)
        yield scene


def prepare(root: str | Path, num_scenes: dict[str, int] = NUM_SCENES, seed: int = 0) -> bool:
    """Write the data set below ``root``, unless it is there already.

    The layout is ``images/<split>/*.png`` (RGB), ``masks/<split>/*.png`` (class indices) and
    ``annotations/instances_<split>.json`` (COCO). It appears only when it is complete.

    Returns:
        Whether anything was written.

    Raises:
        InputError: ``root`` holds something else.
    """
    root = Path(root)
    recipe = dict(name='digits', seed=seed, num_scenes=num_scenes, scene_size=SCENE_SIZE)
    recipe_file = root / 'recipe.json'
    if recipe_file.is_file() and json.loads(recipe_file.read_text()) == recipe:
        return False
    if root.exists():
        raise InputError(f'{root} exists but does not hold this data set; remove it or choose another folder')
    partial = root.with_name(root.name + '.partial')
    shutil.rmtree(partial, ignore_errors=True)
    for split in SPLITS:
        _write_split(partial, split, num_scenes[split], seed)
    (partial / recipe_file.name).write_text(json.dumps(recipe))
    partial.rename(root)
    return True


def _random_crop(photograph: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    largest = min(photograph.shape[:2])
    side = int(rng.uniform(min(SCENE_SIZE, largest) * 0.75, min(SCENE_SIZE * 2.5, largest)))
    top, left = (int(rng.integers(length - side + 1)) for length in photograph.shape[:2])
    crop = photograph[top:top + side, left:left + side]
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    crop = cv2.resize(np.ascontiguousarray(crop), (SCENE_SIZE, SCENE_SIZE), interpolation=cv2.INTER_AREA)
    return (crop * DIMMING).astype(np.uint8)


def _paste_digit(scene: Scene, scan: np.ndarray, label: int, occupied: np.ndarray,
                 rng: np.random.Generator) -> None:
    size = int(np.exp(rng.uniform(*np.log(DIGIT_SIZE))))
    ink = cv2.resize(scan, (size, size), interpolation=cv2.INTER_CUBIC)
    for _ in range(20):  # look for a free place, else leave the digit out
        top, left = rng.integers(SCENE_SIZE - size + 1, size=2)
        place = np.s_[top:top + size, left:left + size]
        if not occupied[place].any():
            break
    else:
        return
    below = scene.image[place].astype(np.float32)
    color = rng.uniform(0, 255, 3)
    while color.mean() - below.mean() < MIN_CONTRAST:
        color = rng.uniform(0, 255, 3)
    opacity = np.clip(2 * ink - 0.5, 0, 1)[..., None]  # half opaque where the mask ends
    scene.image[place] = np.round(below + opacity * (color - below)).astype(np.uint8)
    occupied[place] = True
    mask = np.zeros_like(occupied)
    mask[place] = ink > 0.5
    scene.mask[mask] = label
    scene.instances.append((label, mask))


def _write_split(root: Path, split: str, count: int, seed: int) -> None:
    for kind in ('images', 'masks'):
        (root / kind / split).mkdir(parents=True)
    (root / 'annotations').mkdir(exist_ok=True)
    images: list[dict] = []
    annotations: list[dict] = []
    for scene in track(compose_scenes(split, count, seed), description=f'digits: {split}', total=count):
        name, image_id = f'{len(images):05d}.png', len(images) + 1
        cv2.imwrite(str(root / 'images' / split / name), scene.image[..., ::-1])
        cv2.imwrite(str(root / 'masks' / split / name), scene.mask)
        images.append(dict(id=image_id, file_name=name, height=SCENE_SIZE, width=SCENE_SIZE))
        for label, mask in scene.instances:
            annotations.append(dict(id=len(annotations) + 1, image_id=image_id, **_to_coco(label, mask)))
    categories = [dict(id=index, name=name) for index, name in enumerate(CLASSES) if index]
    (root / 'annotations' / f'instances_{split}.json').write_text(
        json.dumps(dict(images=images, annotations=annotations, categories=categories)))


def _to_coco(label: int, mask: np.ndarray) -> dict:
    """The COCO fields of one instance: box (x, y, width, height) in pixels, uncompressed RLE."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    x, y = int(columns[0]), int(rows[0])
    # COCO counts runs down the columns, beginning with zeros.
    pixels = np.concatenate(([0], mask.ravel(order='F'), [0])).astype(np.int8)
    edges = np.flatnonzero(np.diff(pixels))
    counts = np.diff(np.concatenate(([0], edges, [mask.size]))).tolist()
    if counts[-1] == 0:
        counts.pop()
    return dict(category_id=label, iscrowd=0, area=int(mask.sum()),
                bbox=[x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1],
                segmentation=dict(size=list(mask.shape), counts=counts))

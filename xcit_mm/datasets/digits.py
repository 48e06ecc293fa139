"""Compose the ``digits`` data set: real handwritten digits on real photographs, with nothing to download.

The digits are the 1,797 scans of scikit-learn's ``load_digits``; the backgrounds are photographs that come with
scikit-learn and scikit-image. The scenes are composed, not photographed: each digit is enlarged from 8x8 px, coloured
and pasted onto a dimmed crop. The two splits share no scans or photographs.
"""
from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import skimage.data
import sklearn.datasets
from rich.progress import track

from ..errors import InputError
from ..files import complete_folder
from .scenes import Scene, write_split

RECIPE_FILE = 'recipe.json'
ENTRIES = {'annotations', 'images', 'masks', RECIPE_FILE}
CLASSES = ('background', *'0123456789')
SPLITS = ('train', 'val')
NUM_SCENES = dict(train=4000, val=200)
SCENE_SIZE = 128  # pixels along a side
DIGITS_PER_SCENE = (4, 9)  # minimum, maximum; fewer if a scene runs out of room
DIGIT_SIZE = (36, 64)  # pixels along a side
DIMMING = 0.5  # factor that darkens the photographs, so that ink of any colour can be brighter
MIN_CONTRAST = 70  # least difference in brightness between ink and background, in grey levels (of 255)
FIRST_HELD_OUT_SCAN = 1347  # of 1,797
PHOTOGRAPHS = dict(
    train=('astronaut', 'brick', 'chelsea', 'china', 'coins', 'gravel', 'hubble_deep_field',
           'immunohistochemistry', 'moon', 'retina', 'rocket', 'stereo_motorcycle'),
    val=('camera', 'coffee', 'flower', 'grass'))


def load_photographs(split: str) -> list[np.ndarray]:
    """Load the background photographs of a split, each (H, W, 3) uint8, RGB."""
    photographs = []
    for name in PHOTOGRAPHS[split]:
        if name in ('china', 'flower'):
            photograph = sklearn.datasets.load_sample_image(f'{name}.jpg')
        else:
            photograph = getattr(skimage.data, name)()
        if isinstance(photograph, tuple):  # a stereo pair and its disparity map
            photograph = photograph[0]
        if photograph.ndim == 2:
            photograph = np.repeat(photograph[..., None], 3, axis=2)
        photographs.append(photograph)
    return photographs


def load_scans(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Load a split's scans, (M, 8, 8) float32 ink values from 0 to 1, and the digits they show, (M,) int."""
    digits = sklearn.datasets.load_digits()
    part = slice(None, FIRST_HELD_OUT_SCAN) if split == 'train' else slice(FIRST_HELD_OUT_SCAN, None)
    return (digits.images[part] / 16).astype(np.float32), digits.target[part]


def compose_scenes(split: str, count: int, seed: int = 0) -> Iterator[Scene]:
    """Compose ``count`` scenes; scene i of a split depends only on the seed and on i."""
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
    """Write the data set to ``root`` (see ``write_split``) unless it is already there.

    The folder appears only once it is complete, and replaces any scenes composed with a different recipe.

    Returns:
        True if the data set was written, False if it already existed.

    Raises:
        InputError: ``root`` contains something other than these scenes, or cannot be written.
    """
    root = Path(root).resolve()
    request = dict(name='digits', seed=seed, num_scenes=num_scenes)
    recipe = request | _recipe()
    if root.exists():
        held = _read_recipe(root)
        if held == recipe:
            return False
        if any(held.get(key) != value for key, value in request.items()) or set(os.listdir(root)) != ENTRIES:
            raise InputError(f'cannot write digits to {root}: it holds other data or extra files; '
                             'remove it or choose another folder')
        print(f'{root} holds digits composed with another recipe; composing them again')
    with complete_folder(root) as folder:
        for split in SPLITS:
            count = num_scenes[split]
            scenes = track(compose_scenes(split, count, seed), description=f'digits: {split}', total=count)
            write_split(folder, split, scenes, CLASSES)
        (folder / RECIPE_FILE).write_text(json.dumps(recipe))
    return True


def _recipe() -> dict:
    """Return every setting that affects a scene, as JSON types; data made with different settings are out of date."""
    return dict(scene_size=SCENE_SIZE, digits_per_scene=list(DIGITS_PER_SCENE), digit_size=list(DIGIT_SIZE),
                dimming=DIMMING, min_contrast=MIN_CONTRAST, first_held_out_scan=FIRST_HELD_OUT_SCAN,
                photographs={split: list(names) for split, names in PHOTOGRAPHS.items()})


def _read_recipe(root: Path) -> dict:
    try:
        return dict(json.loads((root / RECIPE_FILE).read_text()))
    except (OSError, TypeError, ValueError):  # we did not write this folder
        return {}


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
    for _ in range(20):  # try to find a free place, or leave the digit out
        top, left = rng.integers(SCENE_SIZE - size + 1, size=2)
        place = np.s_[top:top + size, left:left + size]
        if not occupied[place].any():
            break
    else:
        return
    background = scene.image[place].astype(np.float32)
    color = rng.uniform(0, 255, 3)
    while color.mean() - background.mean() < MIN_CONTRAST:
        color = rng.uniform(0, 255, 3)
    opacity = np.clip(2 * ink - 0.5, 0, 1)[..., None]  # 0.5 at the edge of the mask
    scene.image[place] = np.round(background + opacity * (color - background)).astype(np.uint8)
    occupied[place] = True
    mask = np.zeros_like(occupied)
    mask[place] = ink > 0.5
    scene.mask[mask] = label
    scene.instances.append((label, mask))

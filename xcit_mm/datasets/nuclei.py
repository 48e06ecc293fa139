"""Convert the BBBC038 nuclei (2018 Data Science Bowl, stage 1): images with one mask per nucleus."""
from __future__ import annotations

import io
from collections import defaultdict
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

import numpy as np
from PIL import Image
from rich.progress import track

from ..errors import InputError
from .scenes import Scene, write_split

CLASSES = ('background', 'nucleus')
LARGEST = 360  # pixels along a side; 542 of the 670 images qualify, and the configs are made for them
HELD_OUT = 5  # every fifth image by name goes to val


def convert(file: ZipFile, folder: Path) -> None:
    """Write images no larger than 360 px with ``write_split``: every fifth one to ``val``, the rest to ``train``.

    Raises:
        InputError: an image cannot be read.
        OSError: a file cannot be written.
    """
    images, masks = {}, defaultdict(list)
    for member in file.namelist():
        parts = PurePosixPath(member).parts  # (…, ID, 'images' or 'masks', NAME.png)
        if len(parts) >= 3 and parts[-1].endswith('.png'):
            if parts[-2] == 'images':
                images[parts[-3]] = member
            elif parts[-2] == 'masks':
                masks[parts[-3]].append(member)
    names = [name for name in sorted(images) if max(_read(file, images[name]).size) <= LARGEST]
    held_out = names[HELD_OUT - 1::HELD_OUT]
    for split, chosen in (('train', sorted(set(names) - set(held_out))), ('val', held_out)):
        scenes = (_scene(file, name, images[name], sorted(masks[name])) for name in chosen)
        write_split(folder, split, track(scenes, description=f'nuclei: {split}', total=len(chosen)), CLASSES)


def _scene(file: ZipFile, name: str, image: str, masks: list[str]) -> Scene:
    nuclei = [np.asarray(_read(file, mask).convert('L')) > 0 for mask in masks]
    pixels = np.asarray(_read(file, image).convert('RGB'))
    labels = np.zeros(pixels.shape[:2], np.uint8)
    for nucleus in nuclei:
        labels[nucleus] = 1
    return Scene(pixels, labels, [(1, nucleus) for nucleus in nuclei if nucleus.any()], name)


def _read(file: ZipFile, member: str) -> Image.Image:
    content = file.read(member)
    try:
        image = Image.open(io.BytesIO(content))
        image.load()
        return image
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f'cannot read {member} in {file.filename}: {error}; '
                         'remove the archive and run again') from None

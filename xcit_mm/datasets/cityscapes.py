"""Create the Cityscapes training masks."""
from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from rich.progress import track

from ..errors import InputError
from ..files import complete_file

# The Cityscapes ids of the 19 training classes, in training order (cityscapesscripts, helpers/labels.py).
TRAINED = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
IGNORED = 255


def make_train_ids(root: Path) -> None:
    """Create any missing ``*_gtFine_labelTrainIds.png`` in train and val from ``*_gtFine_labelIds.png``.

    The masks are identical to those from cityscapesscripts, which draws both kinds from the same polygons in the same
    order.

    Raises:
        InputError: a mask cannot be read or written.
    """
    train_ids = np.full(256, IGNORED, np.uint8)
    train_ids[list(TRAINED)] = range(len(TRAINED))
    made = {path: path.with_name(path.name.replace('_labelIds', '_labelTrainIds'))
            for split in ('train', 'val') for path in sorted(root.glob(f'gtFine/{split}/*/*_gtFine_labelIds.png'))}
    missing = [path for path in made if not made[path].exists()]
    for path in track(missing, description='labelTrainIds', disable=not missing):
        try:
            with Image.open(path) as ids:
                labels = train_ids[np.asarray(ids)]
        except (OSError, SyntaxError, IndexError) as error:  # IndexError: the mask has more than 8 bits
            raise InputError(f'cannot read {path}: {error}; unpack it again from the archive') from None
        with complete_file(made[path]) as partial:
            Image.fromarray(labels).save(partial, 'PNG')

"""Class names and colours of a model's data set."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import DATASETS
from torch import nn

from .config import find_test_dataset
from .errors import InputError


def dataset_meta(config: Config, model: BaseModel, checkpoint: dict) -> dict:
    """``classes`` and ``palette`` (RGB): of the checkpoint, else of the config's test data, else numbered.

    Args:
        config: with test data.
        model: a segmentor or a detector.
        checkpoint: its content, or an empty dict.
    """
    dataset = find_test_dataset(config)
    with DATASETS.switch_scope_and_registry(config.get('default_scope', 'mmseg')) as registry:
        kind = dataset.type if isinstance(dataset.type, type) else registry.get(dataset.type)
    meta = dict(getattr(kind, 'METAINFO', {})) | dict(dataset.get('metainfo') or {})
    meta |= (checkpoint.get('meta') or {}).get('dataset_meta') or {}
    second_stage = getattr(model, 'roi_head', model)  # of a detector that has two
    return _complete(meta, num_classes(model) or num_classes(getattr(second_stage, 'bbox_head', None)))


def num_classes(part: nn.Module | None) -> int:
    """How many classes a segmentor or a head tells apart, which one logit does with two; 0 for any other module."""
    number = getattr(part, 'num_classes', 0)
    return max(number, 2) if number and getattr(part, 'out_channels', 0) == 1 else number


def _complete(meta: dict, num_classes: int) -> dict:
    """Number classes that have no names; add a background; choose colours where there is not one for each."""
    classes = tuple(meta.get('classes') or map(str, range(num_classes)))
    palette = list(meta.get('palette') or ())
    if len(classes) == 1 and num_classes == 2:
        classes, palette = ('background', *classes), [[0, 0, 0], *palette]
    if len(palette) != len(classes):
        palette = np.random.default_rng(42).integers(0, 256, (len(classes), 3)).tolist()
    return meta | dict(classes=classes, palette=palette)


def class_index(names: Sequence[str], name: int | str) -> int:
    """Return the index of a class.

    Args:
        names: of all classes.
        name: a text is a name, or an index where no class has that name; a number is an index.

    Raises:
        InputError: there is no such class.
    """
    if name in names:
        return names.index(name)
    if isinstance(name, str) and name.isdecimal():
        name = int(name)
    if not isinstance(name, str) and 0 <= name < len(names):
        return int(name)
    raise InputError(f'no class {name!r}; the classes 0 … {len(names) - 1} are {", ".join(names)}')

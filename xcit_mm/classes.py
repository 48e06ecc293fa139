"""Names and colours of a model's classes."""
from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import numpy as np
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log
from mmengine.model import BaseModel
from mmengine.registry import DATASETS
from torch import nn

from .checkpoints import get_dataset_meta
from .config_contents import default_scope, find_test_dataset
from .errors import InputError


def dataset_meta(config: Config, model: BaseModel, checkpoint: dict) -> dict:
    """Return ``classes`` and ``palette`` (RGB) from the checkpoint, or else from the config's test data.

    Classes without names are numbered. A palette that does not have one colour per class is replaced with random
    colours that are the same in every run.

    Args:
        config: must define test data.
        model: a segmentor or a detector.
        checkpoint: the content of the checkpoint, or an empty dict.

    Raises:
        InputError: the names are a single string, or their number differs from the model's number of classes.
    """
    dataset = find_test_dataset(config)
    with DATASETS.switch_scope_and_registry(default_scope(config)) as registry:
        kind = dataset.type if isinstance(dataset.type, type) else registry.get(dataset.type)
    known = dict(getattr(kind, 'METAINFO', {}))
    configured = BaseDataset._load_metainfo(dataset.get('metainfo'))  # reads names from a file
    require_names(configured)
    trained = get_dataset_meta(checkpoint)
    if trained.get('classes') and (why := difference(trained['classes'], configured.get('classes') or ())):
        print_log(f"the checkpoint's class names are used, although the config has others: {why}", 'current',
                  logging.WARNING)
    second_stage = getattr(model, 'roi_head', model)  # of a two-stage detector
    meta = known | configured | trained
    meta['palette'] = _palette(meta, known)
    return _complete(meta, num_classes(model) or num_classes(getattr(second_stage, 'bbox_head', None)))


def num_classes(part: nn.Module | None) -> int:
    """Return the number of classes of a segmentor or head (2 if it has a single logit), or 0 for any other module."""
    number = getattr(part, 'num_classes', 0)
    return max(number, 2) if number and getattr(part, 'out_channels', 0) == 1 else number


def require_names(meta: Mapping) -> None:
    """Check the ``classes`` in a data set's metadata.

    Raises:
        InputError: the classes are a string, as in ``classes=('cell')``, or a key is in capitals, which the MM packages
            ignore.
    """
    classes = meta.get('classes')
    if isinstance(classes, str):
        raise InputError(f'cannot use classes={classes!r}: it is a text, not a list of names, and no such file exists; '
                         f'write classes=({classes!r}, ) with a comma')
    if 'CLASSES' in meta or 'PALETTE' in meta:
        raise InputError('cannot use metainfo.CLASSES or PALETTE: the MM packages ignore capitals since version 1 of '
                         'mmseg and 3 of mmdet; write metainfo.classes and palette')


def difference(ours: Sequence[str], theirs: Sequence[str]) -> str:
    """Describe the first difference between two lists of class names; return '' if they match or either is empty."""
    ours, theirs = list(ours), list(theirs)
    if not ours or not theirs or ours == theirs:
        return ''
    lists = f' ({list_names(ours)} against {list_names(theirs)})'
    if len(ours) != len(theirs):
        return f'{len(ours)} classes differ from {len(theirs)}{lists}'
    index = next(index for index, (one, other) in enumerate(zip(ours, theirs)) if one != other)
    return f'class {index} is {ours[index]!r} in one and {theirs[index]!r} in the other{lists}'


def list_names(names: Sequence[str], limit: int = 30) -> str:
    """Return the names on one line, quoted so that spaces are visible."""
    return ', '.join(map(repr, list(names)[:limit])) + (', …' if len(names) > limit else '')


def _palette(meta: dict, known: dict) -> list:
    """Return the colours; for a subset of a known data set's classes, look them up by name."""
    colours, names = list(meta.get('palette') or ()), meta.get('classes') or ()
    if len(colours) != len(names) and set(names) <= set(known.get('classes') or ()):
        by_name = dict(zip(known['classes'], known.get('palette') or ()))
        colours = [by_name[name] for name in names if name in by_name]
    return colours


def _complete(meta: dict, num_classes: int) -> dict:
    """Number unnamed classes, add a background class before a single named one if the model has two classes, and pick
    colours unless every class has one.
    """
    classes = tuple(meta.get('classes') or map(str, range(num_classes)))
    palette = list(meta.get('palette') or ())
    if len(classes) == 1 and num_classes == 2:
        classes, palette = ('background', *classes), [[0, 0, 0], *palette]
    if num_classes and len(classes) != num_classes:
        raise InputError(f'cannot name the classes: the model has {num_classes}, but the data set names {len(classes)} '
                         f'({list_names(classes)}); set metainfo.classes in test_dataloader.dataset')
    if len(palette) != len(classes):
        if palette:
            print_log(f'the palette has {len(palette)} colours for {len(classes)} classes: colours are drawn at '
                      'random; set metainfo.palette', 'current', logging.WARNING)
        palette = np.random.default_rng(42).integers(0, 256, (len(classes), 3)).tolist()
    return meta | dict(classes=classes, palette=palette)


def class_index(names: Sequence[str], name: int | str) -> int:
    """Return the index of a class.

    Args:
        names: the names of all classes.
        name: name or index of the class. A string of digits is an index only if no class has that name.

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

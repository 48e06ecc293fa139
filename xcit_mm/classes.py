"""Names and colours of a model's classes."""
from __future__ import annotations

import numpy as np
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import DATASETS
from torch import nn

from .checkpoints import get_dataset_meta
from .config import find_test_dataset


def dataset_meta(config: Config, model: BaseModel, checkpoint: dict) -> dict:
    """Return ``classes`` and ``palette`` (RGB) from the checkpoint, or else from the config's test data.

    Classes without names are numbered. A palette that does not have one colour per class is replaced by random colours,
    the same in every run.

    Args:
        config: must define test data.
        model: a segmentor or a detector.
        checkpoint: the content of the checkpoint, or an empty dict.
    """
    dataset = find_test_dataset(config)
    with DATASETS.switch_scope_and_registry(config.get('default_scope', 'mmseg')) as registry:
        kind = dataset.type if isinstance(dataset.type, type) else registry.get(dataset.type)
    meta = dict(getattr(kind, 'METAINFO', {})) | dict(dataset.get('metainfo') or {})
    meta |= get_dataset_meta(checkpoint)
    second_stage = getattr(model, 'roi_head', model)  # of a detector that has two
    return _complete(meta, num_classes(model) or num_classes(getattr(second_stage, 'bbox_head', None)))


def num_classes(part: nn.Module | None) -> int:
    """Return the number of classes of a segmentor or head (2 if it has a single logit), or 0 for any other module."""
    number = getattr(part, 'num_classes', 0)
    return max(number, 2) if number and getattr(part, 'out_channels', 0) == 1 else number


def _complete(meta: dict, num_classes: int) -> dict:
    """Number unnamed classes, add a background to a single class, and choose colours unless each class has one."""
    classes = tuple(meta.get('classes') or map(str, range(num_classes)))
    palette = list(meta.get('palette') or ())
    if len(classes) == 1 and num_classes == 2:
        classes, palette = ('background', *classes), [[0, 0, 0], *palette]
    if len(palette) != len(classes):
        palette = np.random.default_rng(42).integers(0, 256, (len(classes), 3)).tolist()
    return meta | dict(classes=classes, palette=palette)

"""Resize images that are much longer than they are wide."""
from __future__ import annotations

from functools import partial

import mmcv
from mmcv.transforms import BaseTransform, Resize


def keep_a_pixel(step: BaseTransform) -> None:
    """Make a transform resize the shorter side of an image to at least 1 px.

    mmcv would round that side to 0, which makes OpenCV fail. Transforms that pick or compute a size contain a
    ``Resize``, so transforms inside other transforms are changed as well.

    Args:
        step: a transform of a pipeline; changed in place.
    """
    for part in list(vars(step).values()):
        for inner in part if isinstance(part, (list, tuple)) else [part]:
            if isinstance(inner, BaseTransform) and 'transform' not in vars(inner):
                keep_a_pixel(inner)
    if isinstance(step, Resize) and 'transform' not in vars(step):
        step.transform = partial(_resize, step)


def _resize(step: Resize, results: dict) -> dict:
    height, width = results['img'].shape[:2]
    before = step.scale, step.keep_ratio
    scale = step.scale or tuple(int(side * factor + 0.5) for side, factor in zip((width, height), step.scale_factor))
    size = mmcv.rescale_size((width, height), scale) if step.keep_ratio and min(scale) > 0 else scale
    if min(size) > 0:
        return type(step).transform(step, results)
    try:
        step.scale, step.keep_ratio = tuple(max(side, 1) for side in size), False
        return type(step).transform(step, results)
    finally:
        step.scale, step.keep_ratio = before

"""Ways to segment a scene that is larger than a training crop, for comparing statistics."""
from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from mmengine.model import BaseModel
from torch import Tensor

from xcit_mm.apis import inference_segmentor


class View(NamedTuple):
    """A segmented scene.

    Attributes:
        scores: (classes, H, W), logits or probabilities.
        spread: see ``xcit_mm.statistics.Statistics``.
    """
    scores: Tensor
    spread: float | None = None


Segment = Callable[[np.ndarray], View]  # of an image (H, W, 3) uint8, BGR


def build_view(model: BaseModel, name: str) -> Segment:
    """Return a function that segments in the way that a name describes.

    Args:
        model: from ``init_model``; its ``data_preprocessor.size`` is the size of the training crops.
        name: ``'windows'`` (of a crop's size, side by side), ``'hann windows'`` (overlapping by half and blended), or a
            registered statistic, optionally with arguments in JSON, such as ``'mixture {"kinds": 8}'``. With
            ``' flips'`` at the end of the name, the function averages the probabilities over four mirrored views.
    """
    if name.endswith(' flips'):
        return _flipped(build_view(model, name.removesuffix(' flips')))
    if name in ('windows', 'hann windows'):
        return _windows(model, tuple(model.data_preprocessor.size), name == 'hann windows')
    kind, _, arguments = name.partition(' ')
    statistics = dict(type=kind, **json.loads(arguments)) if arguments else kind
    return lambda image: _view(model, image, statistics)


def _view(model: BaseModel, image: np.ndarray, statistics: str | dict) -> View:
    sample = inference_segmentor(model, np.ascontiguousarray(image), statistics=statistics, full_resolution=True,
                                 return_logits=True)
    return View(sample.seg_logits.data, sample.statistics_spread)


def _flipped(segment: Segment) -> Segment:
    def run(image: np.ndarray) -> View:
        views = []
        for axes in ((), (0, ), (1, ), (0, 1)):
            logits = segment(np.flip(image, axes)).scores
            views.append(logits.softmax(dim=0).flip([axis + 1 for axis in axes]))
        return View(torch.stack(views).mean(dim=0))

    return run


def _windows(model: BaseModel, crop: tuple[int, int], is_hann: bool) -> Segment:
    """Run windows separately; with ``is_hann``, they overlap by half, and a Hann-weighted mean is taken."""
    def run(image: np.ndarray) -> View:
        total, weight = torch.zeros(()), torch.zeros(image.shape[:2])
        taper = torch.ones(crop)
        if is_hann:
            taper = torch.outer(*(torch.hann_window(side + 1, periodic=False)[:side] + 1e-3 for side in crop))
        for top in _starts(image.shape[0], crop[0], is_hann):
            for left in _starts(image.shape[1], crop[1], is_hann):
                place = slice(top, top + crop[0]), slice(left, left + crop[1])
                window = _view(model, image[place], 'image').scores.softmax(dim=0)
                weights = taper[:window.shape[1], :window.shape[2]]
                total = total if total.dim() else torch.zeros(len(window), *image.shape[:2])
                total[:, place[0], place[1]] += window * weights
                weight[place] += weights
        return View(total / weight)

    return run


def _starts(size: int, crop: int, overlap: bool) -> Iterator[int]:
    last = max(size - crop, 0)
    yield from range(0, last, crop // 2 if overlap else crop)
    yield last

"""Convert logits to labels and probabilities, like mmseg's ``postprocess_result``."""
from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from mmseg.models import BaseSegmentor


def num_logits(model: BaseSegmentor) -> int:
    """Return the number of logits per pixel: 1, or one per class, or 0 if unknown."""
    return getattr(getattr(model, 'decode_head', None), 'out_channels', 0)


def label_dtype(model: BaseSegmentor) -> torch.dtype:
    """Return the smallest dtype that can hold every class index."""
    classes = getattr(getattr(model, 'decode_head', None), 'num_classes', 0)
    return torch.uint8 if 0 < classes <= 256 else torch.int16


def to_scores(logits: Tensor) -> Tensor:
    """Convert logits to mmseg's ``seg_logits`` in float32: apply a sigmoid if there is only one logit, (..., 1)."""
    logits = logits.float()
    return logits.sigmoid() if logits.shape[-1] == 1 else logits


def to_labels(model: BaseSegmentor, scores: Tensor) -> Tensor:
    """Return the class of each pixel: scores (..., channels) -> (...)."""
    return scores[..., 0] > model.decode_head.threshold if scores.shape[-1] == 1 else scores.argmax(dim=-1)


def to_probabilities(scores: Tensor, classes: Sequence[int]) -> Tensor:
    """Return the probabilities of the given classes, from 0 to 1: scores (..., channels) -> (..., len(classes))."""
    if scores.shape[-1] == 1:
        return torch.cat((1 - scores, scores), dim=-1)[..., list(classes)]
    return scores.softmax(dim=-1)[..., list(classes)]


def label_probabilities(scores: Tensor, labels: Tensor) -> Tensor:
    """Return the probability of each pixel's label, from 0 to 1: scores (..., channels) and labels (...) -> (...)."""
    probabilities = to_probabilities(scores, range(max(scores.shape[-1], 2)))
    return probabilities.gather(-1, labels.long()[..., None])[..., 0]

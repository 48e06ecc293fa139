"""Mode ``delegated``, for models that have their own prediction code."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING

from ...errors import InputError
from ...ops.rows import Rows
from ...statistics import Statistics
from ..backbone_statistics import own_statistics, passed_to_backbone
from ..pipeline import predict
from ..scene import Band, Scene
from .mode import MODES, Mode, Progress, require_eval

if TYPE_CHECKING:
    from mmseg.models import BaseSegmentor


@MODES.register_module(name='delegated')
class Delegated(Mode):
    """The model's own ``test_step``, without a memory limit."""

    name, summary = 'delegated', "whatever the model itself predicts in mmseg's test loop"
    takes_precision = runs_whole_image = False  # the model's own code would resize bfloat16 logits, which tie

    def check(self, model: BaseSegmentor) -> None:
        """Raise ``InputError`` unless a model is in eval mode."""
        require_eval(model)

    def estimate_bytes(self, model: BaseSegmentor, height: int, width: int) -> int:
        return 0  # unknown

    def logits(self, model: BaseSegmentor, pixels: Rows, statistics: Callable[[], Statistics],
               progress: Progress) -> Rows:
        raise InputError(f'a {type(model).__name__} has its own prediction code, which does not return logits by rows')

    def bands(self, model: BaseSegmentor, scene: Scene, statistics: Callable[[], Statistics],
              progress: Progress) -> Iterator[Band]:
        if scene.data is None:
            raise InputError(f'mode delegated needs the whole image, so a {type(model).__name__} cannot segment a file '
                             'that is read by rows')
        sums = statistics()
        if not sums.pools_are_plain:
            raise InputError(f'a {type(model).__name__} has its own prediction code, so its head cannot take pooled '
                             "cells from these statistics; use statistics='image', 'mixture' or 'local'")
        is_default = sums.is_plain and not own_statistics(model)
        with nullcontext() if is_default else passed_to_backbone(model, lambda images: statistics()):
            sample = predict(model, scene.data)
        if 'pred_sem_seg' not in sample:
            raise InputError(f'a {type(model).__name__} predicts {", ".join(sample.keys()) or "nothing"} instead of '
                             'labels; run its own test_step')
        scores = sample.seg_logits.data.permute(1, 2, 0) if 'seg_logits' in sample else None
        yield Band(0, sample.pred_sem_seg.data[0], scores)
        progress(1.0)

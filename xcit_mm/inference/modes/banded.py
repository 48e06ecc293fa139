"""Run the whole image in bands of rows: the same function as mode ``whole``, but in bounded memory."""
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ...errors import InputError
from ...ops.modification import has_hooks
from ...ops.rows import Rows
from ...statistics import Statistics
from . import footprint
from .mode import MODES, Mode, Progress

if TYPE_CHECKING:
    from mmseg.models import BaseSegmentor


@MODES.register_module(name='banded')
class Banded(Mode):
    """The whole image, one band of rows at a time, for XCiT and the necks and heads in ``inference.bands``."""

    name, summary = 'banded', 'the same result as whole, computed in bands of rows in bounded memory'
    share_before = 0.25

    def check(self, model: BaseSegmentor) -> None:
        """Raise ``InputError`` unless every part of a model can run in bands."""
        from ..bands import banded, check_backbone  # these import mmseg, which only a segmentor needs

        super().check(model)
        if has_hooks(model.data_preprocessor):
            raise InputError('cannot run the model in bands of rows: its data_preprocessor has hooks; use mode whole')
        check_backbone(model.backbone)
        levels = len(model.backbone.out_indices)
        for part in filter(None, (model.neck if model.with_neck else None, model.decode_head)):
            banded(part).check(part, levels)

    def estimate_bytes(self, model: BaseSegmentor, height: int, width: int) -> int:
        return footprint.banded_bytes(model, height, width, self.scratch is not None)

    def logits(self, model: BaseSegmentor, pixels: Rows, statistics: Callable[[], Statistics],
               progress: Progress) -> Rows:
        from ..bands import backbone, banded

        sums = statistics()
        levels = backbone.compute_levels(model.backbone, pixels, sums, progress, self.scratch)
        if model.with_neck:
            levels = banded(model.neck).run(model.neck, levels, sums)
        logits: Rows = banded(model.decode_head).run(model.decode_head, levels, sums)
        logits.at_least = footprint.logit_rows(logits.width)
        return logits

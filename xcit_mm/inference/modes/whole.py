"""The whole image, run through the network in one pass."""
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from torch import Tensor

from ...backbone import XCiT
from ...errors import InputError
from ...ops.rows import Rows, Stored
from ...statistics import Statistics
from .footprint import whole_bytes
from .mode import MODES, Mode, Progress

if TYPE_CHECKING:
    from mmseg.models import BaseSegmentor


@MODES.register_module(name='whole')
class Whole(Mode):
    """The model's own forward pass."""

    name, summary = 'whole', 'the whole image at once'
    share_before = 0.9

    def estimate_bytes(self, model: BaseSegmentor, height: int, width: int) -> int:
        return whole_bytes(model, height, width)

    def logits(self, model: BaseSegmentor, pixels: Rows, statistics: Callable[[], Statistics],
               progress: Progress) -> Rows:
        whole = Stored(forward(model, pixels.reader().read_all(), statistics()))
        progress(1.0)
        return whole


def forward(model: BaseSegmentor, image: Tensor, statistics: Statistics) -> Tensor:
    """Run a standard segmentor on an image (H, W, 3): logits (H / 4, W / 4, classes)."""
    from mmseg.models.decode_heads import UPerHead

    from ...heads.standard import parts
    from ...heads.uper_head import takes_statistics, uper_logits

    x = image.permute(2, 0, 1)[None]
    backbone, neck, head = parts(model)
    # A subclass or a patched forward method may not accept statistics.
    if not isinstance(backbone, XCiT) or statistics.is_plain and not backbone.statistics:
        logits = head(neck(backbone(x)))
    else:
        levels = neck(backbone(x, statistics))
        if not statistics.pools_are_plain and isinstance(head, UPerHead) and takes_statistics(head):
            logits = uper_logits(head, levels, statistics)
        elif statistics.pools_are_published or not isinstance(head, UPerHead):
            logits = head(levels)  # a modified head also pools pixels without data
        else:
            raise InputError(f'a modified {type(head).__name__} cannot take its pooled cells from other statistics; '
                             "use statistics='image' or 'mixture'")
    return logits[0].permute(1, 2, 0)

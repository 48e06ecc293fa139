"""Sliding windows, each run through the network separately."""
from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ...errors import InputError
from ...ops.precision import at_least_float32
from ...ops.row_operations import Resized
from ...ops.rows import Reader, Rows, Stored
from ...statistics import Statistics
from ...statistics.grid import BLOCK
from .footprint import LOGIT_BUFFERS, logit_band_bytes, whole_bytes
from .mode import MODES, Mode, Progress
from .whole import forward

if TYPE_CHECKING:
    from mmseg.models import BaseSegmentor


@MODES.register_module(name='slide')
class Slide(Mode):
    """mmseg's ``slide_inference`` over the windows of the config's ``test_cfg``, in bounded memory."""

    name, summary = 'slide', "the average over the sliding windows of the config's test_cfg"
    runs_whole_image = False

    def check(self, model: BaseSegmentor) -> None:
        """Raise ``InputError`` unless the config defines windows that cover an image."""
        super().check(model)
        if not all(0 < step <= side for side, step in zip(
                model.test_cfg.get('crop_size', (0, 0)), model.test_cfg.get('stride', (0, 0)))):
            raise InputError('mode slide needs model.test_cfg.crop_size and .stride in the config: height and width in '
                             'pixels, with a stride no larger than the crop')

    def estimate_bytes(self, model: BaseSegmentor, height: int, width: int) -> int:
        (high, wide), (down, right) = model.test_cfg.crop_size, model.test_cfg.stride
        # The last row of windows is shifted up, so it can overlap more than one other row.
        windows = math.ceil(max(width - wide, 0) / right + 1) * math.ceil(high / down + 1)
        # Bands of the first row of windows are in memory while the second row runs.
        held = LOGIT_BUFFERS * logit_band_bytes(model, height, width) if height > high else 0
        return whole_bytes(model, min(high, height), min(wide, width), windows, held,
                           logit_band_bytes(model, height, width))

    def logits(self, model: BaseSegmentor, pixels: Rows, statistics: Callable[[], Statistics],
               progress: Progress) -> Rows:
        def run(window: Tensor, top: int, left: int) -> Tensor:
            own = statistics()
            before = own.padding[0] - left, own.padding[2] - top
            after = left + window.shape[1] - pixels.width, top + window.shape[0] - pixels.height
            own.padding = (max(before[0], 0), max(own.padding[1] + after[0], 0),
                           max(before[1], 0), max(own.padding[3] + after[1], 0))
            if own.coverage is not None:  # in whole blocks, so that the weights can be off by up to 3 px
                rows, columns = (slice(start // BLOCK, start // BLOCK - (-size // BLOCK))
                                 for start, size in ((top, window.shape[0]), (left, window.shape[1])))
                shares = own.coverage[rows, columns]
                # In a window without data, all pixels count; its labels are not used.
                own.coverage = shares if 0 < shares.max() and shares.min() < 1 else None
            return forward(model, window, own)

        return Windows(pixels, run, model.test_cfg.crop_size, model.test_cfg.stride, model.decode_head.align_corners)


class Windows(Rows):
    """Logits of sliding windows, averaged where they overlap, as in mmseg's ``slide_inference``.

    A row of windows is computed when its first pixel is read, and kept at the head's resolution until its last pixel is
    read. No tensor is as large as the image.

    Args:
        image: (rows, W, 3), the input of ``forward``.
        forward: maps a window (h, w, 3) and its top and left position, px, to logits (h', w', classes).
        crop_size: height and width of a window, px; each is reduced to the image's if that is smaller.
        stride: pixels from one window to the next, down and to the right.
        align_corners: used when resizing logits from h' x w' to h x w.
    """

    def __init__(self, image: Rows, forward: Callable[[Tensor, int, int], Tensor], crop_size: tuple[int, int],
                 stride: tuple[int, int], align_corners: bool) -> None:
        super().__init__(image.height, image.width)
        self.image, self.forward, self.align_corners = image.reader(), forward, align_corners
        self.crop = min(crop_size[0], self.height), min(crop_size[1], self.width)
        self.tops = _starts(self.height, self.crop[0], stride[0])
        self.lefts = _starts(self.width, self.crop[1], stride[1])
        self.running: dict[int, list[Reader]] = {}  # index of a row of windows -> readers of their logits

    def compute(self, start: int, stop: int) -> Tensor:
        total: Tensor | None = None
        number = torch.zeros(stop - start, self.width, 1)
        for index, top in enumerate(self.tops):
            first, last = max(start, top), min(stop, top + self.crop[0])
            if first >= last:
                continue
            if index not in self.running:
                self.running[index] = self._run(index)
            for left, window in zip(self.lefts, self.running[index]):
                logits = window.read(first - top, last - top)
                if total is None:
                    total = logits.new_zeros(stop - start, self.width, logits.shape[2])
                part = slice(first - start, last - start), slice(left, left + self.crop[1])
                total[part] += logits
                number[part] += 1
            if last == top + self.crop[0]:
                del self.running[index]
        assert total is not None  # windows cover the image
        return total.div_(number.to(total))

    def _run(self, index: int) -> list[Reader]:
        top, next_start = self.tops[index], (*self.tops, self.height)[index + 1]
        rows = self.image.read(top, top + self.crop[0], next_start)
        windows = (self.forward(rows[:, left:left + self.crop[1]], top, left) for left in self.lefts)
        # Half precision would round the resized logits and their sums over windows.
        return [Resized(Stored(at_least_float32(logits)), self.crop, align_corners=self.align_corners).reader()
                for logits in windows]


def _starts(size: int, crop: int, stride: int) -> list[int]:
    """Return the start of each window along an axis; the last window ends where the axis does."""
    number = max(size - crop + stride - 1, 0) // stride + 1
    return [min(index * stride, size - crop) for index in range(number)]

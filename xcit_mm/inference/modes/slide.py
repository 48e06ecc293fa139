"""Sliding windows over an image, as rows."""
from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..bands.rows import Reader, Resized, Rows, Stored


class Windows(Rows):
    """Logits of overlapping windows, averaged where they overlap: mmseg's ``slide_inference``.

    A row of windows is computed when its first pixel is asked for. It is kept at the resolution of the head until its
    last; nothing is as large as the image.

    Args:
        image: (rows, W, 3), as ``forward`` takes it.
        forward: of a window: (h, w, 3) -> logits (h', w', classes).
        crop_size: height and width of a window, px; less where the image is smaller.
        stride: pixels from a window to the next, down and to the right.
        align_corners: of the resizing from h' x w' to h x w.
    """

    def __init__(self, image: Rows, forward: Callable[[Tensor], Tensor], crop_size: tuple[int, int],
                 stride: tuple[int, int], align_corners: bool) -> None:
        super().__init__(image.height, image.width)
        self.image, self.forward, self.align_corners = image.reader(), forward, align_corners
        self.crop = min(crop_size[0], self.height), min(crop_size[1], self.width)
        self.tops = _starts(self.height, self.crop[0], stride[0])
        self.lefts = _starts(self.width, self.crop[1], stride[1])
        self.running: dict[int, list[Reader]] = {}  # index of a row of windows -> their logits

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
        assert total is not None  # windows are everywhere
        return total.div_(number.to(total))

    def _run(self, index: int) -> list[Reader]:
        top, following = self.tops[index], (*self.tops, self.height)[index + 1]
        rows = self.image.read(top, top + self.crop[0], following)
        windows = (self.forward(rows[:, left:left + self.crop[1]]) for left in self.lefts)
        return [Resized(Stored(logits), self.crop, align_corners=self.align_corners).reader() for logits in windows]


def _starts(size: int, crop: int, stride: int) -> list[int]:
    """Where windows begin along an axis; the last one ends where the axis does."""
    number = max(size - crop + stride - 1, 0) // stride + 1
    return [min(index * stride, size - crop) for index in range(number)]

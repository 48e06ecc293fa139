"""An image being run through a network, in any inference mode."""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from ..ops.precision import at_least_float32
from ..ops.row_operations import Cropped, Pointwise, Resized
from ..ops.rows import Rows, Stored, bands

if TYPE_CHECKING:
    from mmseg.models import BaseSegmentor

ROWS_AT_ONCE = 16  # rows of logits to read at once when all of them are kept
BAND_BYTES = 8 << 20  # one band of logits, at the size of the result; a band has at least one row


class Band(NamedTuple):
    """Rows of a result.

    Attributes:
        start: the first row.
        labels: (rows, W) class indices.
        scores: (rows, W, channels), mmseg's ``seg_logits``: logits, or the probability of class 1 if the head has one
            channel; None if the model has its own prediction code and that code returns only labels.
    """
    start: int
    labels: Tensor
    scores: Tensor | None


@dataclass(frozen=True)
class Scene:
    """An image in the form the network expects, and how its result maps back to the original image.

    Attributes:
        pixels: (rows, W, 3), normalised, float32, on the network's device.
        size: height and width of the result, px.
        padding: left, right, top and bottom margins of ``pixels`` that lie outside the image, px.
        flip: direction in which ``pixels``, but not the result, are flipped (``'horizontal'``, ``'vertical'`` or
            ``'diagonal'``); None if they are not flipped.
        is_resized: whether the test pipeline has set the image's scale, so the image does not count as full resolution.
        data: the same image as ``test_step`` input, for models with their own prediction code.
        coverage: see ``Statistics``.
    """
    pixels: Rows
    size: tuple[int, int]
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    flip: str | None = None
    is_resized: bool = False
    data: dict | None = None
    coverage: Tensor | None = None

    def fit(self, logits: Rows, align_corners: bool) -> Rows:
        """Bring logits to the size of the result the way mmseg does: resize, crop the padding, flip back and resize."""
        left, right, top, bottom = self.padding
        logits = Pointwise(logits, at_least_float32)  # resized logits would tie in half precision
        if self.flip in ('vertical', 'diagonal'):  # before resizing, because all rows have to be in memory
            logits, top, bottom = _upside_down(logits), bottom, top
        logits = _resize(logits, (self.pixels.height, self.pixels.width), align_corners)
        if any(self.padding):
            logits = Cropped(logits, left, right, top, bottom)
        if self.flip in ('horizontal', 'diagonal'):
            logits = Pointwise(logits, lambda rows: rows.flip(1))
        return _resize(logits, self.size, align_corners)

    def bands(self, channels: int) -> Iterator[tuple[int, int]]:
        """Split the rows of the result into bands [start, stop), each with about ``BAND_BYTES`` of logits."""
        height, width = self.size
        # A row of an enlarged image has more pixels than a row of the result.
        pixels = max(width, self.pixels.width * self.pixels.height // height)
        step = max(BAND_BYTES // (4 * pixels * channels), 1)
        yield from bands(height, step)


def _upside_down(rows: Rows) -> Rows:
    reader = rows.reader()
    parts = [reader.read(start, stop).flip(0) for start, stop in bands(rows.height, ROWS_AT_ONCE)]
    return Stored(torch.cat(parts[::-1]))


def _resize(rows: Rows, size: tuple[int, int], align_corners: bool) -> Rows:
    return rows if size == (rows.height, rows.width) else Resized(rows, size, align_corners=align_corners)


def scene_of(model: BaseSegmentor, data: dict) -> Scene:
    """Make a scene from a ``test_step`` input; for a standard model, the input is normalised band by band.

    Args:
        model: a segmentor.
        data: from ``prepare_image``.
    """
    inputs, sample = data['inputs'], data['data_samples']
    if getattr(model.data_preprocessor, 'test_cfg', None):  # padding needs the whole image
        batch = model.data_preprocessor(dict(inputs=[inputs], data_samples=[sample.clone()]), False)
        return scene_of_tensor(batch['inputs'][0], batch['data_samples'][0].metainfo, data)
    pixels = Normalised(Stored(inputs.permute(1, 2, 0)), model.data_preprocessor)
    return Scene(pixels, sample.ori_shape, flip=_flip(sample.metainfo), is_resized='scale_factor' in sample, data=data)


def scene_of_tensor(image: Tensor, metainfo: Mapping, data: dict | None = None) -> Scene:
    """Make a scene from an image (3, H, W) that a model's preprocessor has normalised and possibly padded."""
    padding = tuple(metainfo.get('img_padding_size') or metainfo.get('padding_size') or (0, 0, 0, 0))
    pixels, size = Stored(image.permute(1, 2, 0)), tuple(metainfo['ori_shape'])
    return Scene(pixels, size, padding, _flip(metainfo), 'scale_factor' in metainfo, data)


def _flip(metainfo: Mapping) -> str | None:
    """Return the direction in which the test pipeline flipped an image, or None."""
    return metainfo.get('flip_direction', 'horizontal') if metainfo.get('flip') else None


class Normalised(Rows):
    """An image in the form the network expects: (rows, W, 3), RGB, normalised, float32, on the network's device.

    Args:
        image: (rows, W, 3), BGR, already resized by the test pipeline.
        preprocessor: the model's ``data_preprocessor``.
    """

    def __init__(self, image: Rows, preprocessor: torch.nn.Module) -> None:
        super().__init__(image.height, image.width)
        self.image, self.preprocessor = image.reader(), preprocessor

    def compute(self, start: int, stop: int) -> Tensor:
        rows = self.image.read(start, stop).permute(2, 0, 1)
        return self.preprocessor(dict(inputs=[rows], data_samples=None))['inputs'][0].permute(1, 2, 0)

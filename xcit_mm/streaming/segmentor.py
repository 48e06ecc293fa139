"""A whole image through a segmentor, a band of rows at a time."""
from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from ..backbone import XCiT
from ..errors import InputError
from .backbone import Progress, compute_levels
from .heads import check, compute_logits
from .rows import Resized, Rows

LOGIT_ROWS = 16  # rows at the finest stride that the head computes at once: fewer make small products, more take memory
BAND_BYTES = 64 << 20  # of logits at the size of the image, but for a row at least


class Normalised(Rows):
    """An image as the network wants it: RGB, normalised, (rows, W, 3) float32.

    Args:
        image: (H, W, 3) uint8, BGR.
        preprocessor: of the model.
    """

    def __init__(self, image: Tensor, preprocessor: nn.Module) -> None:
        super().__init__(*image.shape[:2])
        self.image, self.preprocessor = image, preprocessor

    def compute(self, start: int, stop: int) -> Tensor:
        rows = self.image[start:stop].permute(2, 0, 1)
        return self.preprocessor(dict(inputs=[rows], data_samples=None))['inputs'][0].permute(1, 2, 0)


@torch.no_grad()
def compute_bands(model: nn.Module, image: Tensor, size: tuple[int, int], progress: Progress = lambda share: None
                  ) -> Iterator[tuple[int, Tensor]]:
    """The logits of an image, band by band from top to bottom, equal to those of the model's own forward pass.

    Args:
        model: an ``EncoderDecoder`` over an XCiT, in eval mode.
        image: (H, W, 3) uint8, BGR, as the test pipeline resizes it.
        size: height and width at which logits are wanted.
        progress: called with the share of the work that is done, 0 … 1.

    Yields:
        The first row of a band, and its logits (rows, W, classes).

    Raises:
        InputError: a model or a preprocessing for which there are no bands.
    """
    _check(model)
    share = 0.25  # of the backbone in the time; the rest is the head's
    rows = Normalised(image, model.data_preprocessor)
    levels = compute_levels(model.backbone, rows, lambda done: progress(share * done))
    logits = compute_logits(model.neck if model.with_neck else None, model.decode_head, levels)
    logits.at_least = LOGIT_ROWS
    for target in (tuple(image.shape[:2]), size):
        if target != (logits.height, logits.width):
            logits = Resized(logits, target, align_corners=model.decode_head.align_corners)
    reader = logits.reader()
    step = max(BAND_BYTES // (4 * logits.width * model.decode_head.out_channels), 1)
    for start in range(0, logits.height, step):
        stop = min(start + step, logits.height)
        yield start, reader.read(start, stop)
        progress(share + (1 - share) * stop / logits.height)


def segment_by_bands(model: nn.Module, image: Tensor, size: tuple[int, int], progress: Progress = lambda share: None
                     ) -> Tensor:
    """The label map of an image, (H, W) of the given size: uint8, or int16 above 256 classes, on the CPU.

    Arguments and errors as of ``compute_bands``.
    """
    head = model.decode_head
    labels = torch.empty(size, dtype=torch.uint8 if head.num_classes <= 256 else torch.int16)
    for start, logits in compute_bands(model, image, size, progress):
        if head.out_channels == 1:
            found = logits[..., 0].sigmoid() > head.threshold
        else:
            found = logits.argmax(dim=-1)
        labels[start:start + len(logits)] = found
        del logits, found  # before the next ones come
    return labels


def _check(model: nn.Module) -> None:
    if type(model.backbone) is not XCiT:
        raise InputError(f'no bands of rows for the backbone {type(model.backbone).__name__}: take mode config')
    check(model)
    if getattr(model.data_preprocessor, 'test_cfg', None):
        raise InputError('no bands of rows where the preprocessing pads test images: take mode config')
    if any(module.training for module in model.modules()):
        raise InputError('bands of rows need a model in eval mode: call its eval() first')

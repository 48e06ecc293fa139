"""The logits of an image, a band of rows at a time, in each of the modes of ``inference_segmentor``."""
from __future__ import annotations

from collections.abc import Iterator

import torch
from mmseg.models import BaseSegmentor, EncoderDecoder, SegDataPreProcessor
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import Tensor, nn

from ...errors import InputError
from ..bands.backbone import Progress, compute_levels
from ..bands.backbone import check as check_backbone
from ..bands.heads import check as check_heads
from ..bands.heads import compute_logits
from ..bands.rows import Resized, Rows, Stored
from .slide import Windows

LOGIT_ROWS = 16  # rows at the finest stride that the head computes at once: fewer make small products, more take memory
BAND_BYTES = 64 << 20  # of logits at the size of the image, but for a row at least
# The share of the time that is spent before the first rows of logits come.
SHARES = dict(whole=0.9, banded=0.25, slide=0.0)


class Normalised(Rows):
    """An image as the network wants it: RGB, normalised, (rows, W, 3) float32, on the network's device.

    Args:
        image: (rows, W, 3), BGR.
        preprocessor: of the model.
    """

    def __init__(self, image: Rows, preprocessor: nn.Module) -> None:
        super().__init__(image.height, image.width)
        self.image, self.preprocessor = image.reader(), preprocessor

    def compute(self, start: int, stop: int) -> Tensor:
        rows = self.image.read(start, stop).permute(2, 0, 1)
        return self.preprocessor(dict(inputs=[rows], data_samples=None))['inputs'][0].permute(1, 2, 0)


@torch.no_grad()
def compute_bands(model: BaseSegmentor, image: Rows, size: tuple[int, int], mode: str = 'banded',
                  progress: Progress = lambda share: None) -> Iterator[tuple[int, Tensor]]:
    """The logits of an image, band by band from top to bottom, equal to those of the model's own forward pass.

    Args:
        model: an ``EncoderDecoder`` in eval mode; over an XCiT, for ``'banded'``.
        image: (rows, W, 3), BGR, 0 … 255, as the test pipeline resizes it.
        size: height and width at which logits are wanted.
        mode: ``'whole'``, ``'banded'`` or ``'slide'``, as of ``inference_segmentor``.
        progress: called with the share of the work that is done, 0 … 1.

    Yields:
        The first row of a band, and its logits (rows, W, classes).

    Raises:
        InputError: a model that cannot run in this mode.
    """
    check_mode(model, mode)
    share = SHARES[mode]
    logits: Rows
    logits = _logits(model, Normalised(image, model.data_preprocessor), mode, lambda done: progress(share * done))
    for target in ((image.height, image.width), size):
        if target != (logits.height, logits.width):
            logits = Resized(logits, target, align_corners=model.decode_head.align_corners)
    reader = logits.reader()
    # An image that the pipeline has enlarged has more pixels in a row of the result than the result has.
    pixels = max(logits.width, image.width * image.height // logits.height)
    step = max(BAND_BYTES // (4 * pixels * model.decode_head.out_channels), 1)
    for start in range(0, logits.height, step):
        stop = min(start + step, logits.height)
        yield start, reader.read(start, stop)
        progress(share + (1 - share) * stop / logits.height)


def _logits(model: BaseSegmentor, image: Rows, mode: str, progress: Progress) -> Rows:
    def forward(x: Tensor) -> Tensor:
        """(rows, W, 3) -> logits (rows / 4, W / 4, classes)."""
        return model.decode_head(model.extract_feat(x.permute(2, 0, 1)[None]))[0].permute(1, 2, 0)

    if mode == 'slide':
        head = model.decode_head
        return Windows(image, forward, model.test_cfg.crop_size, model.test_cfg.stride, head.align_corners)
    if mode == 'whole':
        whole = Stored(forward(image.reader().read(0, image.height)))
        progress(1.0)
        return whole
    levels = compute_levels(model.backbone, image, progress)
    logits = compute_logits(model.neck if model.with_neck else None, model.decode_head, levels)
    logits.at_least = LOGIT_ROWS
    return logits


def is_standard(model: BaseSegmentor) -> bool:
    """Whether a segmentor does what mmseg's ``EncoderDecoder`` does: one head, whose logits are resized."""
    return (isinstance(model, EncoderDecoder) and isinstance(model.decode_head, BaseDecodeHead)
            and all(getattr(type(model), name) is getattr(EncoderDecoder, name)
                    for name in ('predict', 'inference', 'whole_inference', 'slide_inference', 'encode_decode',
                                 'postprocess_result'))
            and all(getattr(type(model.decode_head), name) is getattr(BaseDecodeHead, name)
                    for name in ('predict', 'predict_by_feat'))
            and type(model.data_preprocessor).forward is SegDataPreProcessor.forward
            and not model.data_preprocessor.test_cfg)


def check_mode(model: BaseSegmentor, mode: str) -> None:
    """Raise ``InputError`` unless a model can run in a mode."""
    if not is_standard(model):
        raise InputError(f'only mode auto is for a {type(model).__name__} with a head of its own kind of prediction, '
                         'or whose preprocessing pads test images')
    if any(module.training for module in model.modules()):
        raise InputError('inference needs a model in eval mode: call its eval() first')
    if mode == 'slide' and not all(0 < step <= side for side, step in zip(
            model.test_cfg.get('crop_size', (0, 0)), model.test_cfg.get('stride', (0, 0)))):
        raise InputError('mode slide needs model.test_cfg.crop_size and .stride in the config: height and width in '
                         'pixels, and no stride above the crop')
    if mode == 'banded':
        check_backbone(model.backbone)
        check_heads(model)

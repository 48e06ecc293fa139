"""Labels, logits and probabilities of an image, in a mode that its size and the memory at hand allow."""
from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from mmengine.structures import PixelData
from mmseg.models import BaseSegmentor
from mmseg.structures import SegDataSample
from torch import Tensor

from ..errors import InputError
from .bands.backbone import Progress
from .bands.rows import Rows, Stored
from .memory import available_bytes, format_bytes
from .modes import check_mode, compute_bands, estimate_bytes, is_standard
from .pipeline import predict


def segment(model: BaseSegmentor, data: dict, mode: str, max_memory: int | None, logits: bool, classes: Sequence[int],
            progress: Progress) -> SegDataSample:
    """Segment an image of ``prepare_image``; arguments, result and errors as of ``inference_segmentor``.

    Args:
        classes: indices of those whose probabilities are wanted.
    """
    sample, size = data['data_samples'], data['data_samples'].ori_shape
    if not is_standard(model) or sample.get('flip'):
        if mode != 'auto' or classes:
            raise InputError(f'a {type(model).__name__} that predicts in a way of its own, or whose preprocessing pads '
                             'or flips, is for mode auto without return_probability_of')
        return _segment_otherwise(model, data, logits, progress)
    image = Stored(data['inputs'].permute(1, 2, 0))
    pixel_bytes = 9 + 4 * (len(classes) + logits * model.decode_head.out_channels)  # labels become int64
    mode = choose_mode(model, image, mode, max_memory, pixel_bytes * math.prod(size))
    try:
        maps = compute_maps(model, image, size, mode, progress, logits, classes)
    except torch.OutOfMemoryError:
        raise InputError(f'the GPU has run out of memory in mode {mode}: take mode banded, or another device') from None
    maps['pred_sem_seg'] = maps['pred_sem_seg'].long()
    sample.set_data({name: PixelData(data=content) for name, content in maps.items()})
    sample.set_metainfo(dict(mode=mode))
    return sample


def _segment_otherwise(model: BaseSegmentor, data: dict, logits: bool, progress: Progress) -> SegDataSample:
    """Let a model predict in its own way, and keep what was asked for."""
    sample = predict(model, data).cpu()
    sample.pred_sem_seg.data = sample.pred_sem_seg.data.long()
    if not logits:
        sample.pop('seg_logits', None)
    sample.set_metainfo(dict(mode='own'))
    progress(1.0)
    return sample


def choose_mode(model: BaseSegmentor, image: Rows, mode: str, max_memory: int | None, result_bytes: int) -> str:
    """The mode to segment an image in: for ``'auto'``, the fastest one that fits the memory.

    A model whose config says ``slide`` is not shown more than its windows.

    Args:
        model: an ``EncoderDecoder`` in eval mode.
        image: as the network sees it.
        mode: one of ``inference_segmentor``'s.
        max_memory: bytes that this process may hold (on a GPU: that tensors may), or None for what is free.
        result_bytes: of what will be returned, in main memory.

    Raises:
        InputError: the model cannot run in this mode, or there is not enough memory.
    """
    modes = [mode]
    if mode == 'auto':
        modes = ['slide'] if model.test_cfg.get('mode') == 'slide' else _fastest_first(model)
    for candidate in modes:
        check_mode(model, candidate)
    device = next(model.parameters()).device
    free, on_cpu = available_bytes(device, max_memory), device.type == 'cpu'
    for candidate in modes:
        needed = estimate_bytes(model, image.height, image.width, candidate) + on_cpu * result_bytes
        if needed <= free:
            return candidate
    limit = '' if max_memory is None else f' of the limit of {format_bytes(max_memory)}'
    raise InputError(
        f'not enough memory to segment {image.width} x {image.height} pixels in mode {candidate}: it takes about '
        f'{format_bytes(needed)} on top of what is held, and {format_bytes(free)}{limit} are free; take '
        + ('mode auto, or ' if mode != 'auto' else '') + 'more memory, or a smaller image')


def _fastest_first(model: BaseSegmentor) -> list[str]:
    try:
        check_mode(model, 'banded')
    except InputError:
        return ['whole']
    # Bands fit a CPU's caches; a GPU waits for the many small kernels.
    return ['whole', 'banded'] if next(model.parameters()).is_cuda else ['banded']


def compute_maps(model: BaseSegmentor, image: Rows, size: tuple[int, int], mode: str,
                 progress: Progress = lambda share: None, logits: bool = False, classes: Sequence[int] = ()
                 ) -> dict[str, Tensor]:
    """What is asked for of an image, on the CPU.

    Args:
        model, image, size, mode, progress: as of ``compute_bands``.
        logits: whether they are wanted.
        classes: whose probabilities are wanted.

    Returns:
        ``pred_sem_seg`` (1, H, W), as of ``label``; where wanted, ``seg_logits`` (classes, H, W) and
        ``seg_probabilities`` (wanted classes, H, W), 0 … 1, both float32.
    """
    head = model.decode_head
    result = dict(pred_sem_seg=torch.empty(1, *size, dtype=label_dtype(model)))
    if logits:
        result['seg_logits'] = torch.empty(head.out_channels, *size)
    if classes:
        result['seg_probabilities'] = torch.empty(len(classes), *size)
    for start, band in compute_bands(model, image, size, mode, progress):
        rows = slice(start, start + len(band))
        result['pred_sem_seg'][0, rows] = label(model, band)
        if logits:
            result['seg_logits'][:, rows] = band.permute(2, 0, 1)
        if classes:
            result['seg_probabilities'][:, rows] = _probabilities(model, band, classes).permute(2, 0, 1)
        del band  # before the next one comes
    return result


def label_bands(model: BaseSegmentor, image: Rows, mode: str,
                progress: Progress = lambda share: None) -> Iterator[Tensor]:
    """The label map of an image from top to bottom, (rows, W) at a time, on the CPU; see ``compute_maps``."""
    for _, band in compute_bands(model, image, (image.height, image.width), mode, progress):
        yield label(model, band).to('cpu', label_dtype(model))


def label(model: BaseSegmentor, logits: Tensor) -> Tensor:
    """The classes of pixels: (..., classes) -> (...)."""
    if model.decode_head.out_channels == 1:
        return logits[..., 0].sigmoid() > model.decode_head.threshold
    return logits.argmax(dim=-1)


def label_dtype(model: BaseSegmentor) -> torch.dtype:
    """The smallest type of a label map."""
    return torch.uint8 if model.decode_head.num_classes <= 256 else torch.int16


def _probabilities(model: BaseSegmentor, logits: Tensor, classes: Sequence[int]) -> Tensor:
    if model.decode_head.out_channels == 1:
        foreground = logits.sigmoid()
        return torch.cat((1 - foreground, foreground), dim=-1)[..., list(classes)]
    return logits.softmax(dim=-1)[..., list(classes)]

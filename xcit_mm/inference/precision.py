"""Run a network in bfloat16 where that is faster."""
from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.model import BaseModel
from torch import Tensor

from ..errors import InputError
from ..ops.cpu import has_bfloat16

PRECISIONS = ('auto', 'float32', 'bfloat16')
SUMMARY = ('bfloat16 is faster on a device with instructions for it, and changes few labels; auto uses it there '
           '(default: float32)')


def choose_precision(wanted: str, device: torch.device) -> str:
    """Return the precision to use on a device, ``'float32'`` or ``'bfloat16'``, and warn if bfloat16 would be slow.

    Raises:
        InputError: the precision is unknown.
    """
    if wanted not in PRECISIONS:
        raise InputError(f'precision must be one of {", ".join(PRECISIONS)}, but got {wanted!r}')
    is_fast = has_bfloat16() if device.type == 'cpu' else device.type == 'cuda' and (
        torch.cuda.get_device_capability(device) >= (8, 0))
    if wanted == 'bfloat16' and not is_fast:
        name = 'CPU' if device.type == 'cpu' else 'device'
        print_log(f'this {name} has no instructions for bfloat16 products, so precision bfloat16 is slower than '
                  'float32 here', 'current', logging.WARNING)
    if wanted == 'auto':
        return 'bfloat16' if is_fast else 'float32'
    return wanted


def run_in(precision: str, device: torch.device) -> AbstractContextManager:
    """Return a context in which products and convolutions run in a precision from ``choose_precision``.

    Tokens, the moments of the Gram form and resized logits stay in float32. With ``'float32'``, the dtype of the model
    and the autocast context of the caller apply.
    """
    return torch.autocast(device.type, torch.bfloat16) if precision == 'bfloat16' else nullcontext()


@contextmanager
def features_in(precision: str, detector: BaseModel) -> Iterator[None]:
    """Within the ``with`` block, run a detector's backbone and neck in a precision; its heads get its own dtype.

    The heads call compiled operations, such as NMS and RoIAlign, that do not take bfloat16.
    """
    if precision == 'float32':
        yield
        return
    extract, like = detector.extract_feat, next(detector.parameters())
    before = {key: value for key, value in vars(detector).items() if key == 'extract_feat'}  # e.g. compiled

    def extract_feat(*inputs: Any, **options: Any) -> tuple[Tensor, ...]:
        with run_in(precision, like.device):
            return tuple(level.to(like.dtype) for level in extract(*inputs, **options))

    detector.extract_feat = extract_feat
    try:
        yield
    finally:
        del detector.extract_feat
        vars(detector).update(before)

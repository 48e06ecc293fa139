"""Check what inference and export require of a segmentor: that it predicts like mmseg's ``EncoderDecoder``."""
from __future__ import annotations

from collections.abc import Callable

from mmseg.models import BaseSegmentor, EncoderDecoder, SegDataPreProcessor
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import nn

from ..ops.modification import has_hooks

_SEGMENTOR = ('predict', 'inference', 'extract_feat', 'whole_inference', 'slide_inference', 'encode_decode',
              'postprocess_result')
_HEAD = ('predict', 'predict_by_feat')
# Classes that override one of these methods without changing the result add their own method to the set.
STANDARD_METHODS: dict[str, set[Callable]] = (
    {name: {getattr(EncoderDecoder, name)} for name in _SEGMENTOR}
    | {f'head.{name}': {getattr(BaseDecodeHead, name)} for name in _HEAD})


def is_standard(model: nn.Module) -> bool:
    """Return whether a segmentor predicts like mmseg's ``EncoderDecoder``, by resizing the logits of a single head."""
    return (isinstance(model, EncoderDecoder) and isinstance(model.decode_head, BaseDecodeHead)
            and all(_method(model, name) in STANDARD_METHODS[name] for name in _SEGMENTOR)
            and all(_method(model.decode_head, name) in STANDARD_METHODS[f'head.{name}'] for name in _HEAD)
            and _method(model.data_preprocessor, 'forward') is SegDataPreProcessor.forward
            and not has_hooks(model))


def _method(module: nn.Module, name: str) -> Callable:
    """Return a method's underlying function, whether it is overridden in the class or on the instance."""
    method = getattr(module, name)
    return getattr(method, '__func__', method)


def parts(model: BaseSegmentor) -> tuple[nn.Module, nn.Module, nn.Module]:
    """Return the backbone, neck (an identity if there is none) and head, which together compute the logits."""
    return model.backbone, model.neck if model.with_neck else nn.Identity(), model.decode_head

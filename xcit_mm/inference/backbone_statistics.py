"""Pass statistics to the backbone of a model that runs its own forward pass."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mmengine.model import BaseModel
from torch import Tensor, nn

from ..backbone import XCiT
from ..errors import InputError
from ..statistics import Choice, Statistics


def own_statistics(model: BaseModel) -> Choice | None:
    """Return the statistics that a model's backbone sets for itself, if any."""
    backbone = getattr(model, 'backbone', None)
    return backbone.statistics if isinstance(backbone, XCiT) else None


def require_xcit(model: BaseModel) -> XCiT:
    """Return a model's backbone, or raise ``InputError`` if it is not an XCiT, which other statistics need."""
    backbone = getattr(model, 'backbone', None)
    if not isinstance(backbone, XCiT):
        kind = f'backbone is a {type(backbone).__name__}' if backbone else 'model has no backbone'
        raise InputError(f'statistics other than image need an XCiT, but the {kind}')
    return backbone


@contextmanager
def passed_to_backbone(model: BaseModel, build: Callable[[Tensor], Statistics]) -> Iterator[None]:
    """Pass statistics to each forward pass of a model's backbone within the ``with`` block.

    Args:
        model: calls its backbone as a module, so that hooks run.
        build: returns empty sums for a batch of images (B, channels, H, W).

    Raises:
        InputError: the backbone is not an XCiT.
    """
    def add(module: nn.Module, inputs: tuple, options: dict) -> tuple[tuple, dict]:
        return inputs, dict(options, statistics=build(inputs[0]))

    hook = require_xcit(model).register_forward_pre_hook(add, with_kwargs=True)
    try:
        yield
    finally:
        hook.remove()

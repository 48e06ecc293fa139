"""Load weights into a module: find a place for every key, or reject the checkpoint."""
from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from ..errors import InputError
from .matching import Placement, place
from .reading import read
from .report import Report
from .state_dict import get_state_dict, plain_key, with_metadata


def load(module: nn.Module, source: str | Path | Mapping, strict: bool = True, name: str | None = None) -> Report:
    """Load weights in any published format into a module, and log what happened to each key.

    Args:
        module: an XCiT, a segmentor or detector built on one, or any other module. A checkpoint for any other module
            must use that module's own keys.
        source: path, URL, or the content of a checkpoint file (see ``read``).
        strict: refuse a checkpoint that does not fit. If False, load the keys that fit, and log a warning about the
            others.
        name: name of the source in errors and in the log. Default: its path.

    Raises:
        InputError: the source cannot be read (see ``read``), it does not contain XCiT weights, a weight is NaN or
            infinite or a variance negative, the module is on the meta device, or, if ``strict``, keys are missing or
            unexpected or shapes differ. In all these cases, the module is unchanged.
    """
    name = name or ('the checkpoint' if isinstance(source, Mapping) else str(source))
    content = source if isinstance(source, Mapping) else read(source)
    return apply(module, prepare(module, content, name), strict, name)


def prepare(module: nn.Module, content: Mapping, name: str, adapt_stem: bool = True) -> Placement:
    """Find where each weight in a checkpoint goes in a module; see ``load`` and ``place``."""
    try:
        state_dict = get_state_dict(content)
        placement = place(module, state_dict, _plain(module), adapt_stem)
    except InputError as error:
        raise InputError(f'{name} does not fit {type(module).__name__}: {error}') from None
    return placement.with_weights(with_metadata(placement.weights, state_dict))


def apply(module: nn.Module, placement: Placement, strict: bool, name: str) -> Report:
    """Load placed weights into a module; see ``load``."""
    kind, own = type(module).__name__, _plain(module)
    report = placement.compare(name, own)
    if report.problems and strict:
        raise InputError(f'{name} does not fit {kind}: {placement.explain(report)} '
                         f'({len(own)} keys wanted, {len(placement.weights)} given)')
    weights = {key: placement.weights[key] for key in report.loaded}
    if any(value.is_meta for value in own.values()):
        raise InputError(f'cannot load {name} into {kind}: its parameters are on the meta device, which holds no '
                         "numbers; build it without torch.device('meta'), or call to_empty first")
    invalid = [key for key, value in weights.items() if not _is_finite(value, own[key])]
    if invalid:
        raise InputError(f'cannot load {name}: {len(invalid)} of its weights hold NaN, infinite or no numbers, e.g. '
                         f'{invalid[0]}; take a checkpoint from before the training diverged')
    negative = [key for key, value in weights.items() if key.endswith('running_var') and bool((value < 0).any())]
    if negative:
        raise InputError(f'cannot load {name}: {len(negative)} of its variances are negative, e.g. {negative[0]}; '
                         'take the original checkpoint')
    complete = {key: weights.get(plain_key(key), value) for key, value in module.state_dict().items()}
    module.load_state_dict(with_metadata(complete, placement.weights))
    print_log(str(report), 'current', logging.WARNING if report.problems else logging.INFO)
    return report


def _plain(module: nn.Module) -> dict[str, Tensor]:
    return {plain_key(key): value for key, value in module.state_dict().items()}


def _is_finite(value: Tensor, own: Tensor) -> bool:
    """Return whether all values are finite, both before and after conversion to the dtype of the module's weight."""
    return not value.is_meta and all(bool(torch.isfinite(each).all()) for each in (value, value.to(own.dtype)))

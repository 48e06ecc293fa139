"""Load weights into a module: find a place for every key, or refuse the checkpoint."""
from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from mmengine.logging import print_log
from torch import nn

from ..errors import InputError
from .matching import place
from .reading import get_state_dict, read, with_metadata
from .report import Report


def load(module: nn.Module, source: str | Path | Mapping, strict: bool = True, name: str | None = None, *,
         adapt_stem: bool = True) -> Report:
    """Load weights in any published format into a module, and log what happens to each key.

    Args:
        module: an XCiT, a segmentor or detector around one, or any other module, whose checkpoints must
            have its own keys.
        source: path, URL, or the content of a checkpoint file: see ``read``.
        strict: refuse a checkpoint that does not fit. Otherwise load the keys that fit, and log the others in a
            warning.
        name: name of the source in errors and in the log. Default: its path.
        adapt_stem: adapt the RGB stem of a checkpoint to the channels of the module's: see ``adapt_rgb``.

    Raises:
        InputError: the source cannot be read (see ``read``), it does not contain XCiT weights, or, if
            ``strict``, keys are missing or unexpected or shapes differ. The module is unchanged then.
    """
    name = name or ('the checkpoint' if isinstance(source, Mapping) else str(source))
    content = source if isinstance(source, Mapping) else read(source)
    own = module.state_dict()
    try:
        state_dict = get_state_dict(content)
        placement = place(module, state_dict, own, adapt_stem)
    except InputError as error:
        raise InputError(f'{name} does not fit {type(module).__name__}: {error}') from None
    report = placement.compare(name, own)
    if report.problems and strict:
        raise InputError(f'{name} does not fit {type(module).__name__}: {placement.explain(report)} '
                         f'({len(own)} keys wanted, {len(state_dict)} given)')
    fitting = {key: value for key, value in placement.weights.items()
               if key in own and value.shape == own[key].shape}
    module.load_state_dict(with_metadata(own | fitting, state_dict))
    print_log(str(report), 'current', logging.WARNING if report.problems else logging.INFO)
    return report

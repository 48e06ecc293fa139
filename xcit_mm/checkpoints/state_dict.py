"""Extract the weights and the data set's metadata from a checkpoint."""
from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping

from torch import Tensor

from ..errors import InputError

# Keys that wrap the weights, in order of preference: MMEngine and timm, the authors, DINO, others, averages.
WRAPPERS = ('state_dict', 'model', 'teacher', 'student', 'model_state_dict', 'module', 'net', 'params',
            'state_dict_ema', 'model_ema', 'ema_state_dict', 'params_ema', 'ema_model', 'ema')
COUNTERS = {'steps', 'n_averaged'}  # stored with the weights of MMEngine's and torch's averaged models
# Key parts that torch's wrappers add at any depth: torch.compile, FSDP, activation checkpointing.
WRAPPED = re.compile(r'(?:^|(?<=\.))(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.')


def get_state_dict(checkpoint: Mapping) -> dict[str, Tensor]:
    """Extract the weights from a checkpoint, removing any wrappers.

    This unwraps the dict under one of the keys in ``WRAPPERS`` or, if there is no such key, the only state dict in the
    checkpoint; it also removes the ``module.`` prefix of DDP and averaged models, and the parts that ``torch.compile``
    and FSDP add to keys.

    Raises:
        InputError: the weights are empty or include a value that is not a tensor, or there are several state dicts,
            none of them under a key in ``WRAPPERS``.
    """
    while wrapper := _find_wrapper(checkpoint):
        checkpoint = checkpoint[wrapper]
    odd = [key for key, value in checkpoint.items() if not (isinstance(key, str) and isinstance(value, Tensor))]
    if odd:
        raise InputError(f'not a state dict: it must map names to tensors, but {odd[0]!r} maps to '
                         f'{type(checkpoint[odd[0]]).__name__}')
    if not checkpoint:
        raise InputError('the state dict is empty')
    if all(key in COUNTERS or key.startswith('module.') for key in checkpoint):
        weights = {key: value for key, value in checkpoint.items() if key not in COUNTERS}
    else:
        weights = dict(checkpoint)
    plain: dict[str, Tensor] = {}
    for key, value in weights.items():
        name = plain_key(key.removeprefix('module.'))
        if name in plain:
            raise InputError(f'two of its keys name the same weight ({key}); keep one of them')
        plain[name] = value
    return with_metadata(plain, checkpoint)


def plain_key(key: str) -> str:
    """Return a key without the parts added by torch's module wrappers."""
    return WRAPPED.sub('', key)


def with_metadata(weights: Mapping[str, Tensor], source: Mapping) -> OrderedDict[str, Tensor]:
    """Return the weights with another state dict's module versions, which torch needs to load old checkpoints."""
    complete = OrderedDict(weights)
    complete._metadata = getattr(source, '_metadata', OrderedDict())  # type: ignore[attr-defined]  # as torch does
    return complete


def get_dataset_meta(checkpoint: Mapping) -> dict:
    """Return ``classes`` and ``palette`` from an MMEngine checkpoint, or from one of MM 0.x or 2.x (``CLASSES``)."""
    meta = checkpoint.get('meta')
    if not isinstance(meta, Mapping):
        return {}
    found = meta.get('dataset_meta') or {name: meta[name] for name in ('CLASSES', 'PALETTE') if meta.get(name)}
    if not isinstance(found, Mapping):
        return {}
    found = {str(name).lower(): value for name, value in found.items()}  # early 1.x and 3.x versions also use capitals
    if isinstance(found.get('classes'), str):
        found['classes'] = (found['classes'], )
    return found


def _find_wrapper(checkpoint: Mapping) -> str | None:
    """Return the key of the dict that wraps the weights, or None if nothing wraps them."""
    nested = [key for key, value in checkpoint.items() if isinstance(value, Mapping)]
    holders = [key for key in nested if isinstance(key, str) and _holds_weights(checkpoint[key])]
    for name in WRAPPERS:
        if name in (holders or nested):
            return name
    if any(isinstance(value, Tensor) for value in checkpoint.values()):
        return None
    if len(holders) > 1:
        raise InputError(f'it holds several state dicts ({", ".join(holders)}); save the one that you need')
    return holders[0] if holders else None


def _holds_weights(node: Mapping) -> bool:
    """Return whether a dict is or wraps a state dict; an optimizer's numbered states do not count."""
    if not all(isinstance(key, str) for key in node):
        return False
    return any(isinstance(value, Tensor) or isinstance(value, Mapping) and _holds_weights(value)
               for value in node.values())

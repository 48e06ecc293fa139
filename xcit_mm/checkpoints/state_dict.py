"""Extract weights and the description of the data from the content of a checkpoint."""
from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping

from torch import Tensor

from ..errors import InputError

# Keys that wrap the weights, in order of preference: MMEngine and timm, the authors, DINO, others, averages.
WRAPPERS = ('state_dict', 'model', 'teacher', 'student', 'model_state_dict', 'module', 'net', 'params',
            'state_dict_ema', 'model_ema', 'ema_state_dict', 'params_ema', 'ema_model', 'ema')
COUNTERS = {'steps', 'n_averaged'}  # beside the weights of MMEngine's and torch's averaged models
# Parts of keys that torch's wrappers add at any depth: torch.compile, FSDP, activation checkpointing.
WRAPPED = re.compile(r'(?:^|(?<=\.))(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.')


def get_state_dict(checkpoint: Mapping) -> dict[str, Tensor]:
    """Extract the weights from a checkpoint, without what wraps them.

    Wrappers are dicts under one of ``WRAPPERS`` or, if no key has such a name, the only state dict in the checkpoint;
    the prefix ``module.`` of DDP and averaged models; and the parts that ``torch.compile`` and FSDP add to keys.

    Raises:
        InputError: the weights include a value that is not a tensor, or are empty, or several state dicts have other
            names.
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
    """Return a key without the parts that torch's wrappers of modules add."""
    return WRAPPED.sub('', key)


def with_metadata(weights: Mapping[str, Tensor], source: Mapping) -> OrderedDict[str, Tensor]:
    """Return weights with the module versions of another state dict, which torch needs to load old checkpoints."""
    complete = OrderedDict(weights)
    complete._metadata = getattr(source, '_metadata', OrderedDict())  # type: ignore[attr-defined]  # as torch does
    return complete


def get_dataset_meta(checkpoint: Mapping) -> dict:
    """Return ``classes`` and ``palette`` as MMEngine's checkpoints store them, or 0.x and 2.x (``CLASSES``)."""
    meta = checkpoint.get('meta')
    if not isinstance(meta, Mapping):
        return {}
    found = meta.get('dataset_meta') or {name: meta[name] for name in ('CLASSES', 'PALETTE') if meta.get(name)}
    if not isinstance(found, Mapping):
        return {}
    found = {str(name).lower(): value for name, value in found.items()}  # early 1.x and 3.x also use capitals
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
    """Whether a dict is a state dict or wraps one; the numbered states of an optimizer do not count."""
    if not all(isinstance(key, str) for key in node):
        return False
    return any(isinstance(value, Tensor) or isinstance(value, Mapping) and _holds_weights(value)
               for value in node.values())

"""Reading and loading checkpoints: no code of a file is executed, and nothing is skipped silently."""
from __future__ import annotations

import argparse
import logging
import pickle
import re
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from mmengine.logging import HistoryBuffer, print_log
from torch import Tensor, nn

from .errors import InputError

if TYPE_CHECKING:
    from .backbone import XCiT

WRAPPERS = ('state_dict', 'model')  # MMEngine's and the authors' key around the weights
# Keys of a classifier that dense prediction has no use for, and why.
DROPPED = {r'cls_token$|cls_attn_blocks\.|norm\.|head\.': 'class attention and classifier'}
# Keys that a classifier does not have: these parts of a backbone start from scratch.
FRESH = r'fpn\d+\.'


def require(source: str | Path) -> None:
    """Check that a checkpoint file is there, before something slow is built.

    Raises:
        InputError: it is not. A URL is not asked.
    """
    if not _is_url(source) and not Path(source).is_file():
        raise InputError(f'no checkpoint file {source}')


def read(source: str | Path) -> dict:
    """Read a checkpoint file, or download and read one, onto the CPU.

    Args:
        source: path, or ``http(s)://`` URL (kept in torch's hub cache).

    Returns:
        What the file holds: a state dict, bare or under ``'state_dict'`` or ``'model'``.

    Raises:
        InputError: no such file, no checkpoint, or one with objects other than weights and the
            training state of MMEngine.
    """
    require(source)
    try:
        with torch.serialization.safe_globals(_allowed_classes()):
            if _is_url(source):
                checkpoint = torch.hub.load_state_dict_from_url(
                    str(source), map_location='cpu', weights_only=True)
            else:
                checkpoint = torch.load(source, map_location='cpu', weights_only=True)
    except OSError as error:
        raise InputError(f'cannot read the checkpoint {source}: {error}') from None
    except pickle.UnpicklingError as error:
        refused = re.search(r'GLOBAL (\S+)', str(error))
        reason = (f'it holds objects of {refused[1]}, which could run code' if refused
                  else 'it is no checkpoint of PyTorch, or damaged')
        raise InputError(f'refused to load {source}: {reason}') from None
    except (RuntimeError, EOFError, ValueError, LookupError, AttributeError, TypeError, AssertionError) as error:
        raise InputError(f'cannot read the checkpoint {source}: it is damaged or not a checkpoint '
                         f'({str(error).splitlines()[0] if str(error) else type(error).__name__})') from None
    if not isinstance(checkpoint, Mapping) or not checkpoint:
        raise InputError(f'no weights in {source}: it holds {type(checkpoint).__name__}, not a state dict')
    return checkpoint


def get_state_dict(checkpoint: Mapping) -> dict[str, Tensor]:
    """The weights in a checkpoint, without wrappers and without the ``module.`` of DDP.

    Raises:
        InputError: something else than tensors is among them.
    """
    for wrapper in WRAPPERS:
        if isinstance(checkpoint.get(wrapper), Mapping):
            checkpoint = checkpoint[wrapper]
    odd = [key for key, value in checkpoint.items() if not (isinstance(key, str) and isinstance(value, Tensor))]
    if odd:
        raise InputError(f'no state dict: the value of {odd[0]!r} is {type(checkpoint[odd[0]]).__name__}, '
                         'where a name with a tensor should be')
    weights = OrderedDict((key.removeprefix('module.'), value) for key, value in checkpoint.items())
    weights._metadata = getattr(checkpoint, '_metadata', OrderedDict())  # versions of modules, which torch reads
    return weights


def load(module: nn.Module, checkpoint: Mapping, name: str = 'the checkpoint', fresh: str | None = None) -> None:
    """Load weights into a module; every key must find its place.

    Args:
        module: a backbone, segmentor or detector.
        checkpoint: as ``read`` returns it.
        name: how errors and the log call it.
        fresh: regular expression of keys that may be missing; they are logged.

    Raises:
        InputError: keys are missing or unexpected, or shapes differ. The module is unchanged.
    """
    given, own = get_state_dict(checkpoint), module.state_dict()
    missing = [key for key in own if key not in given and not (fresh and re.match(fresh, key))]
    unexpected = [key for key in given if key not in own]
    conflicts = [f'{key} is {tuple(given[key].shape)} but must be {tuple(own[key].shape)}'
                 for key in own if key in given and given[key].shape != own[key].shape]
    problems = [f'{len(keys)} {kind}, e.g. {keys[0]}' for kind, keys in (
        ('missing', missing), ('unexpected', unexpected), ('of another shape', conflicts)) if keys]
    if problems:
        raise InputError(f'{name} does not fit {type(module).__name__}: {"; ".join(problems)} '
                         f'({len(own)} keys wanted, {len(given)} given)')
    kept = {key: value for key, value in own.items() if key not in given}
    num_given = len(given)
    given.update(kept)
    module.load_state_dict(given)
    started = sorted({key.split('.')[0] for key in kept})
    note = f'; not in it, so from scratch: {", ".join(started)}' if started else ''
    print_log(f'{name}: loaded {num_given} of {len(own)} keys{note}', 'current')


def load_backbone(backbone: XCiT, source: str | Path) -> None:
    """Load a dense backbone's or a classifier's weights, as the authors publish them.

    Raises:
        InputError: as ``read`` and ``load``.
    """
    state_dict = get_state_dict(read(source))
    for pattern, reason in {**DROPPED, **backbone.unbuilt_keys()}.items():
        dropped = [key for key in state_dict if re.match(pattern, key)]
        for key in dropped:
            del state_dict[key]
        if dropped:
            print_log(f'{source}: dropped {len(dropped)} keys ({reason})', 'current', logging.INFO)
    load(backbone, state_dict, str(source), fresh=FRESH)


def _allowed_classes() -> list:
    """Classes without side effects that MMEngine's and the authors' checkpoints hold."""
    multiarray = (getattr(np, '_core', None) or np.core).multiarray
    dtypes = {type(np.dtype(code)) for code in '?bhilqBHILQefd'}
    # numpy 2 renamed numpy.core: a file may have been written on either side.
    arrays = [(getattr(multiarray, name), f'numpy.{core}.multiarray.{name}')
              for name in ('scalar', '_reconstruct') for core in ('core', '_core')]
    return [
        HistoryBuffer, argparse.Namespace, np.ndarray, np.dtype, *dtypes, *arrays,
        (_get_statistic, 'builtins.getattr')
    ]


def _is_url(source: str | Path) -> bool:
    return str(source).startswith(('http://', 'https://'))


def _get_statistic(owner: object, name: str) -> object:
    """Stand in for ``getattr``, by which a HistoryBuffer pickles its methods, and allow nothing else."""
    if (owner is HistoryBuffer or isinstance(owner, HistoryBuffer)) and not name.startswith('__'):
        return getattr(owner, name)
    raise pickle.UnpicklingError('Unsupported global: GLOBAL builtins.getattr')

"""Reading checkpoint files: no code of a file is executed."""
from __future__ import annotations

import argparse
import errno
import hashlib
import pickle
import re
import struct
from collections import OrderedDict
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from torch import Tensor

from ..errors import InputError

# Keys around the weights, best first: MMEngine's and timm's, the authors', DINO's, and averages of timm.
WRAPPERS = ('state_dict', 'model', 'teacher', 'student', 'state_dict_ema', 'model_ema')


def require(source: str | Path) -> None:
    """Check that a checkpoint file is there, before something slow is built.

    Raises:
        InputError: it is not. A URL is not asked.
    """
    if not _is_url(source) and not Path(source).is_file():
        raise InputError(f'no checkpoint file {source}')


def read(source: str | Path, trust: bool = False) -> dict:
    """Read a checkpoint file, or download and read one, onto the CPU.

    Args:
        source: path, or ``http(s)://`` URL (kept in torch's hub cache).
        trust: run what code the file may hold, as pickles of unknown classes do.

    Returns:
        What the file holds: a state dict, bare or under one of ``WRAPPERS``.

    Raises:
        InputError: no such file, no checkpoint, or one with objects other than weights and the
            training state of MMEngine.
    """
    require(source)
    try:
        with harmless_classes():
            if _is_url(source):
                checkpoint = torch.hub.load_state_dict_from_url(
                    str(source), map_location='cpu', weights_only=not trust, file_name=_cached_name(str(source)))
            else:
                checkpoint = torch.load(source, map_location='cpu', weights_only=not trust)
    except OSError as error:
        # What seeking in a file that was cut off gives
        reason = 'it is damaged' if error.errno == errno.EINVAL else error
        raise InputError(f'cannot read the checkpoint {source}: {reason}') from None
    except pickle.UnpicklingError as error:
        refused = re.search(r'GLOBAL (\S+)', str(error))
        reason = (f'it holds objects of {refused[1]}, which could run code; if you trust its author, take out the '
                  f'weights with tools/convert_checkpoint.py {source} WEIGHTS.pth --trust' if refused
                  else 'it is no checkpoint of PyTorch, or damaged')
        raise InputError(f'refused to load {source}: {reason}') from None
    except (RuntimeError, EOFError, ValueError, LookupError, AttributeError, TypeError, AssertionError,
            struct.error, HTTPException) as error:
        raise InputError(f'cannot read the checkpoint {source}: it is damaged or not a checkpoint '
                         f'({str(error).splitlines()[0] if str(error) else type(error).__name__})') from None
    if not isinstance(checkpoint, Mapping) or not checkpoint:
        raise InputError(f'no weights in {source}: it holds {type(checkpoint).__name__}, not a state dict')
    return checkpoint


def get_state_dict(checkpoint: Mapping) -> dict[str, Tensor]:
    """The weights in a checkpoint, without wrappers and without the ``module.`` of DDP.

    Raises:
        InputError: something else than tensors is among them, or there are none.
    """
    while wrapper := next((key for key in WRAPPERS if isinstance(checkpoint.get(key), Mapping)), None):
        checkpoint = checkpoint[wrapper]
    odd = [key for key, value in checkpoint.items() if not (isinstance(key, str) and isinstance(value, Tensor))]
    if odd:
        raise InputError(f'no state dict: the value of {odd[0]!r} is {type(checkpoint[odd[0]]).__name__}, '
                         'where a name with a tensor should be')
    if not checkpoint:
        raise InputError('no state dict: it is empty')
    return with_metadata({key.removeprefix('module.'): value for key, value in checkpoint.items()}, checkpoint)


def with_metadata(weights: Mapping[str, Tensor], source: Mapping) -> OrderedDict[str, Tensor]:
    """Weights as torch takes them, with what another state dict tells of the versions of modules."""
    complete = OrderedDict(weights)
    complete._metadata = getattr(source, '_metadata', OrderedDict())  # type: ignore[attr-defined]  # torch's own way
    return complete


def harmless_classes() -> torch.serialization.safe_globals:
    """A context in which torch reads the classes without side effects that MMEngine's and the authors' files hold."""
    multiarray = (getattr(np, '_core', None) or np.core).multiarray
    dtypes = {type(np.dtype(code)) for code in '?bhilqBHILQefd'}
    # numpy 2 renamed numpy.core: a file may have been written on either side.
    arrays = [(getattr(multiarray, name), f'numpy.{core}.multiarray.{name}')
              for name in ('scalar', '_reconstruct') for core in ('core', '_core')]
    return torch.serialization.safe_globals([
        HistoryBuffer, argparse.Namespace, np.ndarray, np.dtype, *dtypes, *arrays,
        (_get_statistic, 'builtins.getattr')
    ])


def _cached_name(url: str) -> str:
    """A file name for a URL; torch's own is its last part, which other URLs have, too."""
    return f'{hashlib.sha256(url.encode()).hexdigest()[:8]}-{Path(urlsplit(url).path).name}'


def _is_url(source: str | Path) -> bool:
    return str(source).startswith(('http://', 'https://'))


def _get_statistic(owner: object, name: str) -> object:
    """Stand in for ``getattr``, by which a HistoryBuffer pickles its methods, and allow nothing else."""
    if (owner is HistoryBuffer or isinstance(owner, HistoryBuffer)) and not name.startswith('__'):
        return getattr(owner, name)
    raise pickle.UnpicklingError('Unsupported global: GLOBAL builtins.getattr')

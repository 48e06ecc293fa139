"""Read checkpoint files without running the code that they may contain."""
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

# Keys under which files hold weights, in order of preference: MMEngine's and timm's, the authors', DINO's, and
# those of timm's moving averages.
WRAPPERS = ('state_dict', 'model', 'teacher', 'student', 'state_dict_ema', 'model_ema')
CORRUPT = 'not a PyTorch checkpoint, or corrupt'


def require(source: str | Path) -> None:
    """Check that a checkpoint file exists, before slow work begins. URLs are not checked.

    Raises:
        InputError: the file does not exist.
    """
    if not _is_url(source) and not Path(source).is_file():
        raise InputError(f'no checkpoint file {source}; give the path of a file or an http(s):// URL')


def read(source: str | Path, trust: bool = False) -> dict:
    """Read a checkpoint file onto the CPU, downloading it first if necessary.

    Args:
        source: path, or ``http(s)://`` URL (a download stays in torch's hub cache).
        trust: allow code in the file to run, as unpickling unknown classes does.

    Returns:
        The content of the file: a state dict, bare or under one of ``WRAPPERS``.

    Raises:
        InputError: the file does not exist, is not a checkpoint, or contains objects other than weights and
            MMEngine's training state.
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
        # Seeking in a truncated file gives EINVAL.
        reason = CORRUPT if error.errno == errno.EINVAL else error
        raise InputError(f'cannot read the checkpoint {source}: {reason}') from None
    except pickle.UnpicklingError as error:
        refused = re.search(r'GLOBAL (\S+)', str(error))
        if not refused:
            raise InputError(f'cannot read the checkpoint {source}: {CORRUPT}') from None
        raise InputError(f'refused to load {source}: it contains {refused[1]}, which could run code; if you trust its '
                         f'author, extract the weights with tools/convert_checkpoint.py {source} WEIGHTS.pth --trust'
                         ) from None
    except (RuntimeError, EOFError, ValueError, LookupError, AttributeError, TypeError, AssertionError,
            struct.error, HTTPException) as error:
        raise InputError(f'cannot read the checkpoint {source}: {CORRUPT} '
                         f'({str(error).splitlines()[0] if str(error) else type(error).__name__})') from None
    if not isinstance(checkpoint, Mapping) or not checkpoint:
        found = 'empty' if isinstance(checkpoint, Mapping) else f'of type {type(checkpoint).__name__}'
        raise InputError(f'no weights in {source}: expected a state dict, but the content is {found}')
    return checkpoint


def get_state_dict(checkpoint: Mapping) -> dict[str, Tensor]:
    """Extract the weights from a checkpoint, without wrappers and without DDP's ``module.`` prefix.

    Raises:
        InputError: there are no weights, or one is not a tensor.
    """
    while wrapper := next((key for key in WRAPPERS if isinstance(checkpoint.get(key), Mapping)), None):
        checkpoint = checkpoint[wrapper]
    odd = [key for key, value in checkpoint.items() if not (isinstance(key, str) and isinstance(value, Tensor))]
    if odd:
        raise InputError(f'not a state dict: it must map names to tensors, but {odd[0]!r} maps to '
                         f'{type(checkpoint[odd[0]]).__name__}')
    if not checkpoint:
        raise InputError('the state dict is empty')
    return with_metadata({key.removeprefix('module.'): value for key, value in checkpoint.items()}, checkpoint)


def with_metadata(weights: Mapping[str, Tensor], source: Mapping) -> OrderedDict[str, Tensor]:
    """Return weights with the module versions of another state dict, which torch needs to load old checkpoints."""
    complete = OrderedDict(weights)
    complete._metadata = getattr(source, '_metadata', OrderedDict())  # type: ignore[attr-defined]  # as torch does
    return complete


def harmless_classes() -> torch.serialization.safe_globals:
    """Return a context in which torch also unpickles the harmless classes in MMEngine's and the authors' files."""
    multiarray = (getattr(np, '_core', None) or np.core).multiarray
    dtypes = {type(np.dtype(code)) for code in '?bhilqBHILQefd'}
    # numpy 2 renamed numpy.core, and files from both versions exist.
    arrays = [(getattr(multiarray, name), f'numpy.{core}.multiarray.{name}')
              for name in ('scalar', '_reconstruct') for core in ('core', '_core')]
    return torch.serialization.safe_globals([
        HistoryBuffer, argparse.Namespace, np.ndarray, np.dtype, *dtypes, *arrays,
        (_get_statistic, 'builtins.getattr')
    ])


def _cached_name(url: str) -> str:
    """Return a unique file name for a URL; torch's default is the last part, which several URLs can share."""
    return f'{hashlib.sha256(url.encode()).hexdigest()[:8]}-{Path(urlsplit(url).path).name}'


def _is_url(source: str | Path) -> bool:
    return str(source).startswith(('http://', 'https://'))


def _get_statistic(owner: object, name: str) -> object:
    """Stand in for ``getattr``, which pickled HistoryBuffers use to find their methods; refuse any other use."""
    if (owner is HistoryBuffer or isinstance(owner, HistoryBuffer)) and not name.startswith('__'):
        return getattr(owner, name)
    raise pickle.UnpicklingError('Unsupported global: GLOBAL builtins.getattr')

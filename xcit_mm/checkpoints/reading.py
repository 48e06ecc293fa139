"""Read checkpoint files without running any code they may contain."""
from __future__ import annotations

import errno
import pickle
import re
import struct
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path

from ..errors import InputError, file_error
from .containers import read_container
from .locating import is_url, locate
from .pickles import holds_modules, replace_modules

CORRUPT = 'not a PyTorch checkpoint, or corrupt'


def read(source: str | Path, trust: bool = False) -> dict:
    """Load a checkpoint file onto the CPU, downloading it first if necessary.

    Args:
        source: path, ``file://`` or ``http(s)://`` URL (downloads stay in torch's hub cache), or folder from the
            Hugging Face hub: see ``locate``. The file is a PyTorch checkpoint, or a safetensors file if the package
            ``safetensors`` is installed.
        trust: allow the file to run code, as unpickling unknown classes does. A whole model is replaced with its state
            dict, and an object whose class is not installed with a placeholder.

    Returns:
        The content of the file: a state dict, bare or wrapped (see ``get_state_dict``).

    Raises:
        InputError: the file does not exist (the error is then also a ``FileNotFoundError``), is not a checkpoint, or
            contains objects other than weights and MMEngine's training state.
    """
    path = None
    try:
        path = locate(source)
        checkpoint = read_container(path, trust)
    except InputError as error:
        if path is None:
            raise
        raise InputError(f'cannot read the checkpoint {source}: {error}') from None
    except OSError as error:
        if error.errno == errno.EINVAL:  # raised when seeking in a truncated file
            raise InputError(_unreadable(source, path, CORRUPT)) from None
        raise file_error(f'cannot read the checkpoint {source}: {error}', error) from None
    except pickle.UnpicklingError as error:
        refused = re.search(r'GLOBAL (\S+)', str(error))
        raise InputError(_refusal(source, path, refused[1]) if path and refused
                         else _unreadable(source, path, CORRUPT)) from None
    except (RuntimeError, EOFError, ValueError, LookupError, AttributeError, TypeError, AssertionError, ImportError,
            struct.error, HTTPException) as error:
        if 'TorchScript' in str(error):
            raise InputError(f'cannot read the checkpoint {source}: it is a TorchScript program; if you trust its '
                             f'author, extract the weights with {_extraction(source)}') from None
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(_unreadable(source, path, f'{CORRUPT} ({reason})')) from None
    if trust:
        checkpoint = replace_modules(checkpoint)
    if not isinstance(checkpoint, Mapping) or not checkpoint:
        found = 'empty' if isinstance(checkpoint, Mapping) else f'of type {type(checkpoint).__name__}'
        raise InputError(f'no weights in {source}: expected a state dict, but the content is {found}')
    return checkpoint  # type: ignore[return-value]  # torch can save any Mapping


def _unreadable(source: str | Path, path: Path | None, reason: str) -> str:
    again = f'; remove {path} to download it again' if path and is_url(source) else ''
    return f'cannot read the checkpoint {source}: {reason}{again}'


def _refusal(source: str | Path, path: Path, name: str) -> str:
    found = (f'it holds a whole model ({name}), not only weights, and could run code' if holds_modules(path) else
             f'it contains {name}, which could run code')
    return f'refused to load {source}: {found}; if you trust its author, extract the weights with {_extraction(source)}'


def _extraction(source: str | Path) -> str:
    return f'tools/convert_checkpoint.py {source} WEIGHTS.pth --trust'

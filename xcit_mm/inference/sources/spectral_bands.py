"""Choose the bands of a file with any number of them, and prepare their values for a network."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...errors import InputError, UnreadableImageError
from .picture import to_8_bits

DTYPES = ('uint8', 'uint16', 'int16', 'float32')


def require_bands(bands: Sequence[int], count: int, path: Path) -> None:
    """Raise ``InputError`` unless a file with ``count`` bands has all of the given ones, numbered from 1."""
    if unknown := [band for band in bands if not 1 <= band <= count]:
        raise InputError(f'cannot read band {unknown[0]} of {path}: its bands are 1 to {count}')


def require_dtypes(dtypes: Iterable[str], as_stored: bool, path: Path, hint: str) -> None:
    """Reject values that cannot be read.

    Args:
        dtypes: names of the dtypes of the bands.
        as_stored: see ``ReadOptions``.
        path: the file, for errors.
        hint: how to convert a file with values of another dtype.

    Raises:
        InputError: a dtype is neither 8-bit nor 16-bit, and ``as_stored`` is False.
        UnreadableImageError: a dtype is not in ``DTYPES``.
    """
    dtypes = list(dtypes)
    if wrong := [dtype for dtype in dtypes if dtype not in DTYPES]:
        raise UnreadableImageError(f'cannot read {path}: its values are {wrong[0]}, but must be {", ".join(DTYPES)}; '
                                   f'{hint}')
    if not as_stored and (wrong := [dtype for dtype in dtypes if dtype not in ('uint8', 'uint16')]):
        raise InputError(f'cannot read {path}: its values are {wrong[0]}, but the config loads 8-bit images; train '
                         "and predict with LoadImageFromFile(imdecode_backend='tifffile'), which keeps the values")


def in_order(bands: Sequence[int], as_stored: bool) -> list[int]:
    """Return bands in the order in which the network's data preprocessor expects them; see ``ReadOptions``."""
    return list(bands) if as_stored or len(bands) != 3 else list(bands[::-1])


def to_tensor(rows: np.ndarray, as_stored: bool) -> Tensor:
    """Return rows (rows, W, bands) as a tensor of values as ``ReadOptions`` describes them."""
    rows = rows if as_stored else to_8_bits(rows)
    return torch.from_numpy(np.ascontiguousarray(rows, np.int32 if rows.dtype == np.uint16 else None))

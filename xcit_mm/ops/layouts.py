"""View tokens and rows as channels-last maps.

A dimension of size 1 can have any stride, and torch guesses a map's memory format from its strides. These views give a
single map the strides of a batch; with others, torch would copy it, or return a contiguous map.
"""
from __future__ import annotations

from torch import Tensor


def to_map(tokens: Tensor, height: int, width: int) -> Tensor:
    """View tokens (B, N, C) as a map (B, C, height, width)."""
    return tokens.flatten(0, 1).unflatten(0, (tokens.shape[0], height, width)).permute(0, 3, 1, 2)


def to_batch(rows: Tensor) -> Tensor:
    """View rows (rows, W, C) as a map (1, C, rows, W)."""
    return rows[None].permute(0, 3, 1, 2)


def to_rows(batch: Tensor) -> Tensor:
    """View a map (1, C, rows, W) as rows (rows, W, C)."""
    return batch.permute(0, 2, 3, 1)[0]

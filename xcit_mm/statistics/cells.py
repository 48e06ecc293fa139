"""Square cells of tokens: their features, and the interpolation of values from cells to tokens."""
from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from ..ops.interpolation import resizing_matrix
from ..ops.precision import full_precision, widest_dtype
from .grid import TokenGrid

TOKENS_AT_ONCE = 4096  # tokens that are converted to float64 at a time


class CellGrid(NamedTuple):
    """A grid of square cells that covers a grid of tokens; cells at the right and bottom edges can be smaller.

    Attributes:
        tokens: the token grid.
        side: side length of a cell, in tokens.
    """
    tokens: TokenGrid
    side: int

    @property
    def height(self) -> int:
        return -(-self.tokens.height // self.side)

    @property
    def width(self) -> int:
        return -(-self.tokens.width // self.side)

    def at_tokens(self, values: Tensor, start: int, stop: int) -> Tensor:
        """Interpolate values bilinearly between the centres of the cells.

        Args:
            values: (..., height, width), one value for each cell.
            start, stop: rows of tokens.

        Returns:
            (..., stop - start, width of the token grid)
        """
        rows = resizing_matrix(self.height, self.height * self.side, start, stop, 0, self.height, False, values)
        columns = resizing_matrix(
            self.width, self.width * self.side, 0, self.tokens.width, 0, self.width, False, values)
        with full_precision(values.device):
            return rows @ values @ columns.T

    def of_tokens(self, values: Tensor, start: int, stop: int) -> Tensor:
        """Return the value of the cell that contains each token; see ``at_tokens``."""
        rows = torch.arange(start, stop, device=values.device) // self.side
        columns = torch.arange(self.tokens.width, device=values.device) // self.side
        return values[..., rows, :][..., columns]


class CellFeatures:
    """The mean and the standard deviation of each channel over the tokens of each cell that contain data.

    Sums are in float64, so splitting the image into bands makes no noticeable difference to them.

    Args:
        cells: the grid of cells.
        batch: number of images.
        channels: number of channels per token.
        device: device of the tokens.
    """

    def __init__(self, cells: CellGrid, batch: int, channels: int, device: torch.device) -> None:
        self.cells = cells
        self.sums = torch.zeros(batch, cells.height, cells.width, 2, channels, dtype=widest_dtype(device),
                                device=device)

    @torch.no_grad()
    def collect(self, tokens: Tensor, start: int = 0) -> None:
        """Add whole rows of tokens, (B, N, C) in row-major order, beginning with row ``start``."""
        rows = tokens.unflatten(1, (-1, self.cells.tokens.width))
        step = max(TOKENS_AT_ONCE // self.cells.tokens.width, 1)
        for first in range(start, start + rows.shape[1], step):
            part = rows[:, first - start:first - start + step].to(self.sums.dtype)
            cell_row = torch.arange(first, first + part.shape[1], device=part.device) // self.cells.side
            part = part * self.cells.tokens.inside(first, first + part.shape[1], part.device)[..., None]
            self.sums[..., 0, :].index_add_(1, cell_row, self._across(part))
            self.sums[..., 1, :].index_add_(1, cell_row, self._across(part.square_()))

    def _across(self, x: Tensor) -> Tensor:
        """Sum the tokens of each cell along rows: (B, rows, W, C) -> (B, rows, cells, C)."""
        missing = self.cells.width * self.cells.side - x.shape[2]
        return pad(x, (0, 0, 0, missing)).unflatten(2, (-1, self.cells.side)).sum(dim=3)

    def result(self) -> tuple[Tensor, Tensor]:
        """Return the features, (B, cells, 2 C) float64 in row-major order, and the tokens per cell, (cells,) int64.

        Called once, because the features take the place of the sums, which are large.
        """
        inside = self.cells.tokens.inside(0, self.cells.tokens.height, self.sums.device)[None, ..., None].to(self.sums)
        number = inside.new_zeros(1, self.cells.height, self.cells.width, 1)
        number.index_add_(1, torch.arange(inside.shape[1], device=inside.device) // self.cells.side,
                          self._across(inside))
        self.sums /= number.clamp_min(1)[..., None, :]
        mean, deviation = self.sums.unbind(dim=3)  # the second holds the mean of the squares
        deviation.addcmul_(mean, mean, value=-1).clamp_min_(0).sqrt_()
        return self.sums.flatten(3).flatten(1, 2), number.flatten().long()

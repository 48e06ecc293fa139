"""The grid of tokens of a batch of images."""
from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class TokenGrid(NamedTuple):
    """The grid of tokens of a batch of images.

    Attributes:
        size: height and width of the network's input, px.
        patch_size: pixels along the side of a token.
        padding: left, right, top and bottom margins of the input that lie outside the images, px.
    """
    size: tuple[int, int]
    patch_size: int
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)

    @property
    def height(self) -> int:
        return -(-self.size[0] // self.patch_size)

    @property
    def width(self) -> int:
        return -(-self.size[1] // self.patch_size)

    def inside(self, start: int, stop: int, device: torch.device | None = None) -> Tensor:
        """Return which tokens of rows [start, stop) contain pixels of the image: (stop - start, width) bool.

        If the whole input is padding, as a window of a padded image can be, all of it counts as the image.
        """
        left, right, top, bottom = self.padding
        height, width = self.size
        if top + bottom >= height or left + right >= width:
            left, right, top, bottom = 0, 0, 0, 0
        row, column = torch.arange(start, stop, device=device), torch.arange(self.width, device=device)
        rows = ((row + 1) * self.patch_size > top) & (row * self.patch_size < height - bottom)
        columns = ((column + 1) * self.patch_size > left) & (column * self.patch_size < width - right)
        return rows[:, None] & columns

"""The grid of tokens of a batch of images."""
from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..ops.pooling import block_means

BLOCK = 4  # side of the square blocks of pixels that a coverage describes, px


class TokenGrid(NamedTuple):
    """The grid of tokens of a batch of images.

    Attributes:
        size: height and width of the network's input, px.
        patch_size: pixels along the side of a token.
        padding: left, right, top and bottom margins of the input that lie outside the images, px.
        coverage: the share of each token's pixels that hold data, (height, width) float32; None if all do.
    """
    size: tuple[int, int]
    patch_size: int
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    coverage: Tensor | None = None

    @property
    def height(self) -> int:
        return -(-self.size[0] // self.patch_size)

    @property
    def width(self) -> int:
        return -(-self.size[1] // self.patch_size)

    def inside(self, start: int, stop: int, device: torch.device | None = None) -> Tensor:
        """Return which tokens of rows [start, stop) contain pixels of the image with data: (stop - start, width) bool.

        If the whole input is padding, as a window of a padded image can be, all of it counts as the image.
        """
        left, right, top, bottom = self.padding
        height, width = self.size
        if top + bottom >= height or left + right >= width:
            left, right, top, bottom = 0, 0, 0, 0
        row, column = torch.arange(start, stop, device=device), torch.arange(self.width, device=device)
        rows = ((row + 1) * self.patch_size > top) & (row * self.patch_size < height - bottom)
        columns = ((column + 1) * self.patch_size > left) & (column * self.patch_size < width - right)
        inside = rows[:, None] & columns
        return inside if self.coverage is None else inside & (self.coverage[start:stop] > 0).to(inside.device)

    def weights(self, start: int, stop: int) -> Tensor | None:
        """Return the coverage of the tokens of rows [start, stop), (1, tokens, 1) float32; None stands for 1."""
        return None if self.coverage is None else self.coverage[start:stop].reshape(1, -1, 1)

    def with_coverage(self, blocks: Tensor | None) -> TokenGrid:
        """Return the grid with the coverage of its tokens.

        Args:
            blocks: the share of the pixels in each block of ``BLOCK`` px that hold data, (ceil(H / BLOCK), ceil(W /
                BLOCK)); at least one pixel does. None if all do.
        """
        if blocks is None:
            return self
        if self.patch_size >= BLOCK:
            return self._replace(coverage=block_means(blocks, self.patch_size // BLOCK))
        repeats = BLOCK // self.patch_size
        tokens = blocks.repeat_interleave(repeats, dim=0).repeat_interleave(repeats, dim=1)
        return self._replace(coverage=tokens[:self.height, :self.width])

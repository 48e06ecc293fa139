"""Scenes larger than a training crop, composed of held-out images, for comparing statistics."""
from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

DARK, COLOURFUL = 0.35, 0.12  # mean brightness and saturation, from 0 to 1, that tell kinds of microscopy images apart


class Tile(NamedTuple):
    """Part of a held-out image, as large as a training crop.

    Attributes:
        image: (H, W, 3) uint8, BGR.
        mask: (H, W) uint8, class indices.
        kind: its kind of content: from ``kind_of``, or ``'empty'``.
    """
    image: np.ndarray
    mask: np.ndarray
    kind: str


def kind_of(image: np.ndarray) -> str:
    """Return the kind of a microscopy image (H, W, 3): ``'dark'`` (fluorescence), ``'coloured'`` or ``'light'``."""
    values = image / 255
    if (values.max(axis=2) - values.min(axis=2)).mean() > COLOURFUL:
        return 'coloured'
    return 'dark' if values.mean() < DARK else 'light'


def cut_tile(image: np.ndarray, mask: np.ndarray, size: tuple[int, int]) -> Tile:
    """Cut ``size`` = (height, width) px out of an image's top-left corner; extend a smaller image by reflecting it."""
    height, width = size
    missing = [(0, max(height - image.shape[0], 0)), (0, max(width - image.shape[1], 0))]
    image = np.pad(image, [*missing, (0, 0)], mode='symmetric')[:height, :width]
    return Tile(image, np.pad(mask, missing, mode='symmetric')[:height, :width], kind_of(image))


class Mosaics:
    """Scenes of n x n tiles, the same on every run.

    Args:
        tiles: the held-out tiles.
    """

    def __init__(self, tiles: list[Tile]) -> None:
        self.tiles = tiles
        self.by_kind = defaultdict(list)
        for tile in tiles:
            self.by_kind[tile.kind].append(tile)

    def scenes(self, content: str, side: int, number: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield ``number`` images (H, W, 3) and masks (H, W) of ``side`` x ``side`` tiles.

        Args:
            content: one of ``CONTENTS``.
        """
        random = np.random.default_rng([side, *content.encode()])
        for _ in range(number):
            yield compose(CONTENTS[content](self, random, side**2), side)

    def draw(self, random: np.random.Generator, number: int, kind: str | None = None) -> list[Tile]:
        """Draw tiles of one kind, or each of a random kind; repeat a tile only if its kind has no unused ones left."""
        drawn: list[Tile] = []
        while len(drawn) < number:
            own = self.by_kind[kind or random.choice(sorted(self.by_kind))]
            used = {id(tile) for tile in drawn}
            fresh = [tile for tile in own if id(tile) not in used] or own
            drawn.append(fresh[random.integers(len(fresh))])
        return drawn

    def kind(self, random: np.random.Generator) -> str:
        """Pick a kind at random, with probability proportional to its number of tiles."""
        return self.tiles[random.integers(len(self.tiles))].kind


def _one_kind(mosaics: Mosaics, random: np.random.Generator, number: int) -> list[Tile]:
    return mosaics.draw(random, number, mosaics.kind(random))


def _mixed(mosaics: Mosaics, random: np.random.Generator, number: int) -> list[Tile]:
    return mosaics.draw(random, number)


def _half_empty(mosaics: Mosaics, random: np.random.Generator, number: int) -> list[Tile]:
    tiles = _mixed(mosaics, random, number)
    for place in random.permutation(number)[:number // 2]:
        tile = tiles[place]
        value = np.uint8(random.integers(256))
        tiles[place] = Tile(np.full_like(tile.image, value), np.zeros_like(tile.mask), 'empty')
    return tiles


def _one_foreign(mosaics: Mosaics, random: np.random.Generator, number: int) -> list[Tile]:
    kind = mosaics.kind(random)
    tiles = mosaics.draw(random, number, kind)
    others = sorted(set(mosaics.by_kind) - {kind}) or [kind]
    tiles[random.integers(number)] = mosaics.draw(random, 1, str(random.choice(others)))[0]
    return tiles


def _bright_corner(mosaics: Mosaics, random: np.random.Generator, number: int) -> list[Tile]:
    tiles = _one_kind(mosaics, random, number)
    first = tiles[0]
    down, right = (np.linspace(1, 0, side) for side in first.mask.shape)
    glare = np.outer(down, right)[..., None]
    tiles[0] = Tile((first.image + (255.0 - first.image) * glare).astype(np.uint8), first.mask, first.kind)
    return tiles


SEVERAL = 'mixed', 'half empty', 'one foreign'  # contents that need more than one tile

CONTENTS: dict[str, Callable[[Mosaics, np.random.Generator, int], list[Tile]]] = {
    'one kind': _one_kind, 'mixed': _mixed, 'half empty': _half_empty, 'one foreign': _one_foreign,
    'bright corner': _bright_corner}


def compose(tiles: list[Tile], side: int) -> tuple[np.ndarray, np.ndarray]:
    """Place ``side`` x ``side`` tiles side by side: an image (H, W, 3) and its mask (H, W)."""
    rows = [tiles[first:first + side] for first in range(0, len(tiles), side)]
    image = np.concatenate([np.concatenate([tile.image for tile in row], axis=1) for row in rows])
    return image, np.concatenate([np.concatenate([tile.mask for tile in row], axis=1) for row in rows])

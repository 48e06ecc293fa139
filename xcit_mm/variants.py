"""The table of XCiT sizes (arXiv 2106.09681), and names such as ``small_12_p16``."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from .errors import InputError, describe_value

# name -> (embed dim, depth, heads)
SIZES = {
    'nano_12': (128, 12, 4),
    'tiny_12': (192, 12, 4),
    'small_12': (384, 12, 8),
    'tiny_24': (192, 24, 4),
    'small_24': (384, 24, 8),
    'medium_24': (512, 24, 8),
    'large_24': (768, 24, 16),
}
PATCH_SIZES = (16, 8)
PUBLISHED_STRIDES = (4, 8, 16, 32)  # of the published pyramid, in pixels
TAPS = {4: 1 / 3, 8: 1 / 2, 16: 2 / 3}  # relative depth of the block that feeds each stride; 1 for coarser strides
ARCHITECTURES = tuple(f'{size}_p{patch}' for size in SIZES for patch in PATCH_SIZES)


@dataclass(frozen=True)
class Variant:
    """The sizes that define an XCiT.

    Attributes:
        embed_dim: width C of a token, a multiple of ``num_heads`` and of 2^(stem stages - 1).
        depth: number of blocks.
        num_heads: attention heads H; each attends over ``embed_dim // num_heads`` channels.
        patch_size: side length of a patch in pixels; a power of two, at least 2.

    Raises:
        InputError: a size is not a positive integer, or the sizes are incompatible.
    """
    embed_dim: int
    depth: int
    num_heads: int
    patch_size: int

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise InputError(f'{field.name} must be a positive integer, not {describe_value(value)}')
        if self.patch_size < 2 or self.patch_size & (self.patch_size - 1):
            raise InputError(f'patch_size must be a power of two and at least 2, not {self.patch_size}')
        if self.embed_dim % self.num_heads:
            raise InputError(
                f'embed_dim ({self.embed_dim}) must be a multiple of num_heads ({self.num_heads})')
        if self.embed_dim % (self.patch_size // 2):
            raise InputError(
                f'embed_dim ({self.embed_dim}) must be a multiple of {self.patch_size // 2}: '
                f'the stem for {self.patch_size} px patches doubles its width at every stage')

    def __str__(self) -> str:
        size = (self.embed_dim, self.depth, self.num_heads)
        name = next((name for name, published in SIZES.items() if published == size), None)
        if name:
            return f'{name}_p{self.patch_size}'
        return (f'XCiT with embed_dim {self.embed_dim}, depth {self.depth}, {self.num_heads} heads and '
                f'{self.patch_size} px patches')

    @property
    def layer_scale_init(self) -> float:
        """Initial layer scale: 1 for the published 12-block models, 1e-5 for the deeper ones."""
        return 1.0 if self.depth <= 12 else 1e-5

    @property
    def out_indices(self) -> tuple[int, ...]:
        """0-based indices of the blocks that feed the published pyramid: those at 1/3, 1/2, 2/3 and the full depth."""
        return self.taps(PUBLISHED_STRIDES)

    def taps(self, strides: Sequence[int]) -> tuple[int, ...]:
        """Return the 0-based index of the default block for each level of a pyramid.

        Each stride gets its published block, except that the coarsest level always uses the last block.

        Args:
            strides: ascending, at least one.
        """
        shares = [*(TAPS.get(stride, 1.0) for stride in strides[:-1]), 1.0]
        return tuple(max(round(self.depth * share), 1) - 1 for share in shares)


def get_variant(arch: str | Mapping) -> Variant:
    """Look up a published name or check a mapping of sizes.

    Args:
        arch: one of ``ARCHITECTURES``, e.g. ``'small_12_p16'``, or a mapping with exactly the keys
            ``embed_dim``, ``depth``, ``num_heads`` and ``patch_size``.

    Raises:
        InputError: the name is unknown, a key is missing or unknown, or the sizes are incompatible.
    """
    if isinstance(arch, Mapping):
        names = [field.name for field in fields(Variant)]
        if set(arch) != set(names):
            raise InputError(f'arch must have exactly the keys {", ".join(names)}, not '
                             f'{", ".join(map(str, arch)) or "none"}')
        return Variant(**arch)
    if not isinstance(arch, str) or arch not in ARCHITECTURES:
        raise InputError(f'unknown XCiT arch {describe_value(arch)}; choose from {", ".join(ARCHITECTURES)}, '
                         'or pass a dict of sizes')
    size, patch_size = arch.rsplit('_p', 1)
    return Variant(*SIZES[size], patch_size=int(patch_size))

"""Statistics recorded once, over training images or a reference image, and then used for every image."""
from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from torch import Tensor

from ..errors import InputError
from ..ops.precision import widest_dtype
from .grid import TokenGrid
from .image import ImageMoments, ImagePools
from .statistics import STATISTICS, BlendedMap, Moments, Pools, Statistics, ToMap


class Recorder(Statistics):
    """The statistics of each image as usual, and their means over all images.

    Attributes:
        sums: ``moments.<block>`` (C + 1, C + 1) and ``pools.<bins>`` (bins, bins, C), in float64.
        counts: for each of these names, the number of images it was summed over.
    """

    def __init__(self) -> None:
        _safetensors()  # fails now if it is missing, rather than after the last image
        self.sums: dict[str, Tensor] = {}
        self.counts: Counter[str] = Counter()

    def moments(self, block: int, height: int, width: int) -> Moments:
        return RecordedMoments(self, f'moments.{block}', self.grid)

    def pools(self, bins: int, height: int, width: int) -> Pools:
        return RecordedPools(self, bins, height, width, self.coverage)

    def add(self, name: str, batch: Tensor) -> None:
        """Add the values for each image in a batch."""
        total = batch.detach().to(widest_dtype(batch.device)).sum(dim=0)
        self.sums[name] = self.sums[name] + total if name in self.sums else total
        self.counts[name] += len(batch)

    def save(self, path: Path) -> None:
        """Write the means to a safetensors file.

        The cells of several images are averaged over positions as well, because the objects in them lie anywhere.

        Raises:
            InputError: no image was recorded.
            OSError: the file cannot be written.
        """
        if not self.sums:
            raise InputError('no statistics were recorded: no image ran through the backbone')
        means = {name: total / self.counts[name] for name, total in self.sums.items()}
        for name, mean in means.items():
            if name.startswith('pools') and self.counts[name] > 1:
                means[name] = mean.mean(dim=(0, 1), keepdim=True).expand_as(mean)
        _safetensors().torch.save_file({name: mean.cpu().contiguous() for name, mean in means.items()}, path)


class RecordedMoments(ImageMoments):
    """An image's moments, which are also added to a recorder."""

    def __init__(self, recorder: Recorder, name: str, grid: TokenGrid) -> None:
        super().__init__(grid)
        self.recorder, self.name = recorder, name

    def reduce(self, to_map: ToMap) -> None:
        assert self.total is not None  # an image has at least one token
        self.recorder.add(self.name, self.total / self.total[:, -1:, -1:])  # the mean over tokens
        super().reduce(to_map)


class RecordedPools(ImagePools):
    """An image's pooled cells, which are also added to a recorder."""

    def __init__(self, recorder: Recorder, bins: int, height: int, width: int, coverage: Tensor | None) -> None:
        super().__init__(bins, height, width, coverage)
        self.recorder = recorder

    def reduce(self) -> Tensor:
        cells = super().reduce()
        self.recorder.add(f'pools.{self.bins}', cells)
        return cells


@STATISTICS.register_module(name='frozen')
class Frozen(Statistics):
    """Recorded statistics, which make a network local like a convolutional one, apart from the positional encoding.

    Args:
        file: file written by ``tools/record_statistics.py``.

    Raises:
        InputError: the file cannot be read.
    """

    def __init__(self, file: str) -> None:
        self.file = str(file)
        path, safetensors = Path(self.file).expanduser(), _safetensors()
        try:
            self.recorded = _load(path, path.stat().st_mtime_ns)
        except (OSError, safetensors.SafetensorError) as error:
            raise InputError(f'cannot read the recorded statistics {file}: {error}; write such a file with '
                             'tools/record_statistics.py') from None

    def moments(self, block: int, height: int, width: int) -> Moments:
        return FrozenMoments(self._find(f'moments.{block}'))

    def pools(self, bins: int, height: int, width: int) -> Pools:
        return FrozenPools(self._find(f'pools.{bins}'))

    def _find(self, name: str) -> Tensor:
        if name not in self.recorded:
            raise InputError(f'the recorded statistics {self.file} have no {name}: they come from another model')
        return self.recorded[name]


@lru_cache(1)
def _load(path: Path, modified: int) -> dict[str, Tensor]:
    """Read a file once for as long as it stays unmodified, because each window and each training step needs it."""
    loaded: dict[str, Tensor] = _safetensors().torch.load_file(path)
    return loaded


def _safetensors() -> Any:
    """Return the package ``safetensors``, which only recorded statistics need."""
    try:
        import safetensors.torch
    except ModuleNotFoundError:
        raise InputError("recorded statistics need the package safetensors: run pip install 'xcit_mm[safetensors]'"
                         ) from None
    return safetensors


class FrozenMoments(Moments):
    """A recorded moment, (C + 1, C + 1)."""

    def __init__(self, recorded: Tensor) -> None:
        self.recorded = recorded

    def collect(self, tokens: Tensor, start: int = 0) -> None:
        _require_channels(len(self.recorded) - 1, tokens.shape[2])
        self.like = tokens.new_empty(len(tokens), 0)  # a view would keep the tokens in memory

    def reduce(self, to_map: ToMap) -> None:
        moment = self.recorded.to(self.like.device, widest_dtype(self.like.device))
        weight, bias = to_map(moment[None].expand(len(self.like), -1, -1))
        self.map = BlendedMap(weight.to(self.like), bias.to(self.like))

    def maps(self, start: int = 0, stop: int | None = None) -> Sequence[BlendedMap]:
        return [self.map]


class FrozenPools(Pools):
    """Recorded cells, (bins, bins, C)."""

    def __init__(self, recorded: Tensor) -> None:
        self.recorded = recorded

    def collect(self, pixels: Tensor, start: int = 0) -> None:
        _require_channels(self.recorded.shape[2], pixels.shape[3])
        self.like = pixels.new_empty(len(pixels), 0)

    def reduce(self) -> Tensor:
        return self.recorded.to(self.like).expand(len(self.like), -1, -1, -1)


def _require_channels(recorded: int, given: int) -> None:
    if recorded != given:
        raise InputError(f'the recorded statistics are of {recorded} channels, but these maps have {given}: they come '
                         'from another model')

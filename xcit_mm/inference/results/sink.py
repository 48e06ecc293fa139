"""The interface of a result sink, and the registry of sinks."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from mmengine.registry import Registry
from mmengine.structures import InstanceData
from torch import Tensor

from ...errors import InputError
from ..sources import GeoReference
from .record import require_replaceable

SINKS = Registry('sink of results')


@dataclass(frozen=True)
class ResultMeta:
    """Information about a result that sinks may need.

    Attributes:
        name: base name of the files to write, without an ending; it may start with subfolders.
        height, width: px.
        classes: name of each class.
        palette: RGB of each class, 0 … 255.
        read_image: returns the image for display, (H, W, 3) uint8, RGB.
        dtype: label dtype, large enough for every class index.
        georeference: the image's georeference, if it has one.
    """
    name: str
    height: int
    width: int
    classes: Sequence[str]
    palette: Sequence[Sequence[int]]
    read_image: Callable[[], np.ndarray]
    dtype: torch.dtype = torch.int64
    georeference: GeoReference | None = None


class Sink:
    """A way to write labels, objects or both to a folder. Each file is written completely or not at all.

    To make a subclass available by name, register it with ``@SINKS.register_module(name=...)``.

    Attributes:
        summary: one line for help texts.
        endings: the part of each file name that follows the name of the result. None of these files is written unless
            each one is new or the result of an earlier run.
    """

    summary: ClassVar[str]
    endings: ClassVar[tuple[str, ...]] = ()

    def write_labels(self, folder: Path, bands: Iterable[Tensor], meta: ResultMeta) -> None:
        """Write a label map.

        Args:
            folder: created if needed.
            bands: class indices (rows, W), from top to bottom, on the CPU.
            meta: names, sizes and colours.

        Raises:
            InputError: a file cannot be written.
        """
        raise InputError(f'{type(self).__name__} does not write labels')

    def write_objects(self, folder: Path, objects: InstanceData, meta: ResultMeta) -> None:
        """Write detected objects.

        Args:
            folder: created if needed.
            objects: ``pred_instances`` of ``inference_detector`` with ``rle``, on the CPU.
            meta: names, sizes and colours.

        Raises:
            InputError: a file cannot be written.
        """
        raise InputError(f'{type(self).__name__} does not write objects')


def build_sinks(names: Sequence[str]) -> list[Sink]:
    """Build the sinks registered under the given names.

    Raises:
        InputError: one of these names is not a registered sink.
    """
    unknown = [name for name in names if name not in SINKS.module_dict]
    if unknown:
        raise InputError(f'sinks must be among {", ".join(sorted(SINKS.module_dict))}, but got {unknown[0]!r}')
    return [SINKS.module_dict[name]() for name in names]


def require_replaceable_results(sinks: Sequence[Sink], folder: Path, name: str) -> None:
    """Check, before computing anything, that a result's files do not exist yet or come from an earlier run.

    Raises:
        InputError: one of the file names is taken by a file that is not a result.
    """
    for sink in sinks:
        for ending in sink.endings:
            require_replaceable(folder / f'{name}{ending}')


def write_labels(sinks: Sequence[Sink], folder: Path, bands: Iterable[Tensor], meta: ResultMeta) -> None:
    """Write a label map with the given sinks: a single sink band by band, or several sinks from the whole map."""
    if len(sinks) > 1:
        bands = [whole_map(bands)]
    for sink in sinks:
        sink.write_labels(folder, bands, meta)


def whole_map(bands: Iterable[Tensor]) -> Tensor:
    """Join bands (rows, W) into one map (H, W)."""
    return torch.cat(list(bands))

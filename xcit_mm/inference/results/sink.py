"""The interface of a result sink, and the registry of sinks."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, ClassVar

import numpy as np
import torch
from mmengine.registry import Registry
from mmengine.structures import InstanceData
from torch import Tensor

from ...errors import InputError, file_error
from ..sources import GeoReference, require_geo
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
        georeference: the image's georeference, if it has one.
    """
    name: str
    height: int
    width: int
    classes: Sequence[str]
    palette: Sequence[Sequence[int]]
    read_image: Callable[[], np.ndarray]
    georeference: GeoReference | None = None

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of labels, large enough for every class index and for ``nodata``."""
        return torch.uint8 if len(self.classes) < 256 else torch.int32

    @property
    def nodata(self) -> int:
        """The label of pixels without data: 255, or 65535 if there are more than 255 classes."""
        return 255 if len(self.classes) < 256 else 65535


class Sink:
    """A way to write labels, objects or both to a folder. Each file is written completely or not at all.

    To make a subclass available by name, register it with ``@SINKS.register_module(name=...)``.

    Attributes:
        summary: one line for help texts.
        endings: the part of each file name that follows the name of the result. None of these files is written unless
            each one is new or the result of an earlier run.
        packages: packages of the ``geo`` extra that the sink needs.
    """

    summary: ClassVar[str]
    endings: ClassVar[tuple[str, ...]] = ()
    packages: ClassVar[tuple[str, ...]] = ()

    def write_labels(self, folder: Path, bands: Iterable[Tensor], meta: ResultMeta) -> None:
        """Write a label map.

        Args:
            folder: created if needed.
            bands: class indices, or ``meta.nodata``: (rows, W), from top to bottom, on the CPU.
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
        InputError: one of these names is not a registered sink, or needs a package that is not installed.
    """
    unknown = [name for name in names if name not in SINKS.module_dict]
    if unknown:
        raise InputError(f'sinks must be among {", ".join(sorted(SINKS.module_dict))}, but got {unknown[0]!r}')
    kinds = [SINKS.module_dict[name] for name in names]
    for kind in kinds:
        for package in kind.packages:
            require_geo(package, f'writing {kind.summary}')
    return [kind() for kind in kinds]


def require_replaceable_results(sinks: Sequence[Sink], folder: Path, name: str) -> None:
    """Check, before computing anything, that a result's files do not exist yet or come from an earlier run.

    Raises:
        InputError: one of the file names is taken by a file that is not a result.
    """
    for sink in sinks:
        for ending in sink.endings:
            require_replaceable(folder / f'{name}{ending}')


def write_labels(sinks: Sequence[Sink], folder: Path, bands: Iterable[Tensor], meta: ResultMeta) -> None:
    """Write a label map with the given sinks. If there are several, a temporary file on disk holds the labels for them.

    Raises:
        InputError: a file cannot be written.
    """
    if len(sinks) == 1:
        return sinks[0].write_labels(folder, bands, meta)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder) as file:
            heights = [_store(band, file, meta) for band in bands]
            for sink in sinks:
                file.seek(0)
                sink.write_labels(folder, (_load(height, file, meta) for height in heights), meta)
    except InputError:  # some of these are also OSErrors, but concern another file
        raise
    except OSError as error:
        raise file_error(f'cannot write to the folder {folder}: {error.strerror or error}', error) from None


def _store(band: Tensor, file: BinaryIO, meta: ResultMeta) -> int:
    file.write(band.to(meta.dtype).numpy().tobytes())
    return len(band)


def _load(height: int, file: BinaryIO, meta: ResultMeta) -> Tensor:
    labels = torch.empty(height, meta.width, dtype=meta.dtype)
    labels.numpy().data.cast('B')[:] = file.read(labels.numel() * labels.element_size())
    return labels


def whole_map(bands: Iterable[Tensor]) -> Tensor:
    """Join bands (rows, W) into one map (H, W)."""
    return torch.cat(list(bands))


def background(palette: Sequence[Sequence[int]]) -> list[int]:
    """Return the classes that count as background: class 0, if it is black."""
    return [] if any(palette[0]) else [0]

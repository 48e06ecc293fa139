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
from .part import Part

SINKS = Registry('sink of results')


@dataclass(frozen=True)
class ResultMeta:
    """Information about a result that sinks may need.

    Attributes:
        name: base name of the files to write, without an ending; it may start with subfolders.
        height, width: px.
        classes: name of each class.
        palette: RGB of each class, 0 … 255.
        read_image: returns the image for display, a few rows at a time from top to bottom: (rows, W, 3) uint8, RGB.
        georeference: the image's georeference, if it has one.
        microns: micrometres per pixel (down, right); None if unknown.
    """
    name: str
    height: int
    width: int
    classes: Sequence[str]
    palette: Sequence[Sequence[int]]
    read_image: Callable[[], Iterable[np.ndarray]]
    georeference: GeoReference | None = None
    microns: tuple[float, float] | None = None

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

    To make a subclass available by name, register it with ``@SINKS.register_module(name=...)``. A sink of labels
    implements ``write_labels``; one that also needs probabilities implements ``write`` and ``needed_classes`` instead.

    Attributes:
        summary: one line for help texts.
        endings: the part of the name of each file or folder that follows the name of the result. None of these is
            written unless each one is new or the result of an earlier run.
        packages: packages that the sink needs, from ``sources.packages.EXTRAS``.
    """

    summary: ClassVar[str]
    endings: ClassVar[tuple[str, ...]] = ()
    packages: ClassVar[tuple[str, ...]] = ()

    def all_endings(self, classes: Sequence[str]) -> Sequence[str]:
        """Return ``endings``, plus those that depend on the names of the classes.

        Raises:
            InputError: a class that the sink needs does not exist.
        """
        return self.endings

    def needed_classes(self, classes: Sequence[str]) -> Sequence[int]:
        """Return the classes whose probabilities the sink needs (see ``Part.probabilities``), given all names.

        Raises:
            InputError: one of them does not exist.
        """
        return ()

    def check(self, meta: ResultMeta) -> None:
        """Check, before anything is computed, that a result can be written.

        Raises:
            InputError: it cannot.
        """

    def kept_bytes(self, width: int) -> int:
        """Return how much main memory the sink needs while labels of rows of ``width`` pixels arrive."""
        return 0

    def write(self, folder: Path, parts: Iterable[Part], meta: ResultMeta) -> None:
        """Write a result. By default, only its labels are written, by ``write_labels``.

        Args:
            folder: created if needed.
            parts: from top to bottom, with probabilities of ``needed_classes``.
            meta: names, sizes and colours.

        Raises:
            InputError: a file cannot be written.
        """
        self.write_labels(folder, (part.labels for part in parts), meta)

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


def whole_map(bands: Iterable[Tensor]) -> Tensor:
    """Join bands (rows, W) into one map (H, W)."""
    return torch.cat(list(bands))


def background(palette: Sequence[Sequence[int]]) -> list[int]:
    """Return the classes that count as background: class 0, if it is black."""
    return [] if any(palette[0]) else [0]

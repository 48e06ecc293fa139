"""The interface of an export format."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor
from torch.export import ExportedProgram

Runtime = Callable[[Tensor], Sequence[Tensor]]


@dataclass(frozen=True)
class FileFormat:
    """A file format for traced functions.

    Attributes:
        write: writes a program to a path, along with its output names and the metadata.
        load: loads the function in a file, ready to run on a (B, in_channels, H, W) float32 image.
        packages: import names of the packages that the format needs besides torch.
    """
    write: Callable[[ExportedProgram, Path, list[str], Mapping[str, str]], None]
    load: Callable[[Path], Runtime]
    packages: tuple[str, ...] = ()

"""Write a result with several sinks while its rows arrive."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

from torch import Tensor

from ...errors import InputError, file_error
from .part import Part, empty_part
from .sink import ResultMeta, Sink


def write_labels(sinks: Sequence[Sink], folder: Path, bands: Iterable[Tensor], meta: ResultMeta) -> None:
    """Write a label map with the given sinks; see ``write_parts``.

    Args:
        bands: labels (rows, W), from top to bottom, on the CPU.
    """
    write_parts(sinks, folder, map(Part, bands), meta)


def write_parts(sinks: Sequence[Sink], folder: Path, parts: Iterable[Part], meta: ResultMeta) -> None:
    """Write a result with the given sinks. If there are several, a temporary file on disk holds the result for them.

    Args:
        sinks: what to write.
        folder: where to write it.
        parts: from top to bottom.
        meta: names, sizes and colours.

    Raises:
        InputError: a file cannot be written.
    """
    if len(sinks) == 1:
        return sinks[0].write(folder, parts, meta)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder) as file:
            stored = [_store(part, file, meta) for part in parts]
            for sink in sinks:
                file.seek(0)
                sink.write(folder, (_load(rows, classes, file, meta) for rows, classes in stored), meta)
    except InputError:  # some of these are also OSErrors, but concern another file
        raise
    except OSError as error:
        raise file_error(f'cannot write to the folder {folder}: {error.strerror or error}', error) from None


def _store(part: Part, file: BinaryIO, meta: ResultMeta) -> tuple[int, list[int]]:
    """Write a part to a file, and return its number of rows and the classes of its probabilities."""
    for values in (part.labels.to(meta.dtype), *part.probabilities.values()):
        file.write(values.numpy().tobytes())
    return len(part.labels), list(part.probabilities)


def _load(rows: int, classes: list[int], file: BinaryIO, meta: ResultMeta) -> Part:
    part = empty_part(rows, meta.width, meta.nodata, meta.dtype, classes)
    for values in (part.labels, *part.probabilities.values()):
        values.numpy().data.cast('B')[:] = file.read(values.numel() * values.element_size())
    return part

"""Maps in temporary files."""
from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryFile

import torch
from torch import Tensor

from ...errors import file_error
from ...ops.rows import Rows


class MapFile(Rows):
    """A map in a temporary file, which frees memory until the map is read: (H, W, C).

    The file disappears with the object, or with the process.

    Args:
        content: the map, contiguous, on the CPU.
        folder: where to write the file; created if needed.

    Raises:
        InputError: the file cannot be written, for example because the disk is full.
    """

    def __init__(self, content: Tensor, folder: Path) -> None:
        super().__init__(*content.shape[:2])
        self.channels, self.dtype = content.shape[2], content.dtype
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.file = TemporaryFile(dir=folder)
            self.file.write(content.view(torch.uint8).numpy().data)
            self.file.seek(0)
        except OSError as error:
            raise file_error(f'cannot keep feature maps ({content.nbytes / 1e9:.1f} GB) in the folder {folder}: '
                             f'{error.strerror or error}', error) from None

    def compute(self, start: int, stop: int) -> Tensor:
        rows = torch.empty(stop - start, self.width, self.channels, dtype=self.dtype)
        self.file.readinto(rows.view(torch.uint8).numpy().data)
        return rows

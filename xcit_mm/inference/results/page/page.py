"""A folder with a web page that shows a result over the image."""
from __future__ import annotations

import base64
import io
import json
import shutil
import zlib
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image
from torch import Tensor

from ..majority import most_frequent
from ..pyramid import TILE, Level, finest_level, kept_bytes
from ..record import result_folder
from ..sink import SINKS, ResultMeta, Sink, background
from .pixel_size import pixel_size

VIEWER = Path(__file__).with_name('viewer')  # the files that are the same in each page
QUALITY = 85  # of JPEG


@SINKS.register_module(name='page')
class Page(Sink):
    """Write ``<name>_page/index.html``: a page with the image, the labels as a layer over it, and a legend.

    The page opens from disk, without a server or a network. It shows the image and the labels at full size, as tiles:
    those of the image are JPEG files, and those of the labels are scripts that hold class indices, which the page
    colours. Coarser tiles show means and the most frequent class. Only some rows are in memory.
    """

    summary = 'a web page that shows the image with the labels over it'
    endings = ('_page', )

    def kept_bytes(self, width: int) -> int:
        return kept_bytes(width)

    def write_labels(self, folder: Path, bands: Iterable[Tensor], meta: ResultMeta) -> None:
        with result_folder(folder / f'{meta.name}_page') as page:
            for file in VIEWER.iterdir():
                shutil.copy(file, page)
            tiles = LabelTiles(page / 'labels', meta)
            for band in bands:
                tiles.add(band.numpy())
            tiles.finish()
            image = Level(tiles.finest, ImageTiles(page / 'image').write, mean_color)
            for rows in meta.read_image():
                image.add(rows)
            image.finish()
            text = json.dumps(_describe(meta, tiles))  # ASCII, and so a valid script
            (page / 'result.js').write_text(f'const RESULT = {text};\n')


class ImageTiles:
    """JPEG files, ``<level>/<column>_<row>.jfif``; a suffix that no source reads, so that they never become inputs.

    Args:
        folder: where to write them.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, level: int, column: int, row: int, pixels: np.ndarray) -> None:
        """Write a tile (h, w, 3) uint8, RGB."""
        content = io.BytesIO()
        Image.fromarray(pixels).save(content, 'JPEG', quality=QUALITY)
        _write(self.folder / str(level) / f'{column}_{row}.jfif', content.getvalue())


class LabelTiles(Level):
    """Scripts ``<level>/<column>_<row>.js``, which call ``addTile`` with class indices, compressed and in base64.

    Unlike other files, scripts can be loaded by a page that is opened from disk.

    Args:
        folder: where to write them.
        meta: describes the labels.

    Attributes:
        counts: pixels of each class; the last is the number of those without data.
    """

    def __init__(self, folder: Path, meta: ResultMeta) -> None:
        self.folder, self.finest = folder, finest_level(meta.height, meta.width)
        self.counts = np.zeros(len(meta.classes) + 1, np.int64)
        super().__init__(self.finest, self._write_tile, partial(most_frequent, nodata=len(meta.classes)))

    def add(self, rows: np.ndarray) -> None:
        classes = np.minimum(rows, len(self.counts) - 1)
        self.counts += np.bincount(classes.ravel(), minlength=len(self.counts))
        super().add(classes.astype(np.uint8 if len(self.counts) <= 256 else np.uint16))

    def _write_tile(self, level: int, column: int, row: int, labels: np.ndarray) -> None:
        name = f'{level}/{column}_{row}'
        content = base64.b64encode(zlib.compress(labels.astype(labels.dtype.newbyteorder('<')).tobytes())).decode()
        _write(self.folder / f'{name}.js', f'addTile("{name}", "{content}");\n'.encode())


def mean_color(pixels: np.ndarray) -> np.ndarray:
    """Reduce pixels (n, W, 3) uint8 to the mean of each 2 x 2 of them."""
    height, width = pixels.shape[:2]
    return cv2.resize(pixels, (width // 2, height // 2), interpolation=cv2.INTER_AREA)


def _describe(meta: ResultMeta, tiles: LabelTiles) -> dict[str, Any]:
    """Return what the page needs to know, apart from tiles."""
    hidden, size = background(meta.palette), pixel_size(meta)
    classes = [dict(index=index, name=meta.classes[index], color=list(meta.palette[index]),
                    pixels=int(tiles.counts[index]), shown=index not in hidden)
               for index in np.flatnonzero(tiles.counts[:-1]).tolist()]
    return dict(name=Path(meta.name).name, height=meta.height, width=meta.width, tile=TILE, finest=tiles.finest,
                bytes=1 if len(tiles.counts) <= 256 else 2, pixel=size and size._asdict(), classes=classes,
                without_data=int(tiles.counts[-1]))


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)

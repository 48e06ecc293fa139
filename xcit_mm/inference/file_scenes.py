"""An image file as the network sees it: the smallest box around its data, a few rows at a time."""
from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path

from mmseg.models import BaseSegmentor
from torch import Tensor

from ..errors import InputError
from ..ops.rows import Rows
from .data_mask import Boxed, DataMask
from .scene import Normalised, Scene
from .sources import ReadOptions, Source, open_source


class FileScenes(AbstractContextManager):
    """An image file that can be opened as a scene several times; the scenes' files close when the context ends.

    Args:
        model: the segmentor.
        path, reading: see ``open_source``.

    Attributes:
        mask: where the file holds data; if its ``box`` is None, there is nothing to segment.
        georeference, microns: see ``Source``.

    Raises:
        InputError: see ``open_source``; also if the network expects another number of bands.
    """

    def __init__(self, model: BaseSegmentor, path: Path, reading: ReadOptions) -> None:
        self.model, self.open_file, self._files = model, partial(open_source, path, reading), ExitStack()
        with self.open_file() as source:
            require_bands(source, model)
            self.mask, self.georeference, self.microns = DataMask(source), source.georeference, source.microns

    def __exit__(self, *_: object) -> None:
        self._files.close()

    def open(self) -> Scene:
        """Return the pixels within the box; called once for each mode tried, because they can be read only once."""
        assert (box := self.mask.box) is not None
        source = self._files.enter_context(self.open_file())
        pixels = WithoutNodata(Normalised(Boxed(source, box), self.model.data_preprocessor), self.mask)
        return Scene(pixels, (box.height, box.width), coverage=self.mask.coverage())


def require_bands(source: Source, model: BaseSegmentor) -> None:
    """Raise ``InputError`` unless an image has as many bands as the network expects."""
    stem = getattr(getattr(model, 'backbone', None), 'patch_embed', None)
    expected = getattr(stem, 'in_channels', source.bands)
    if source.bands != expected:
        example = ' '.join(str(min(band, source.bands)) for band in range(1, expected + 1))
        raise InputError(f'cannot segment {source.path}: {source.bands} of its bands would be read, but the backbone '
                         f'expects {expected}; choose {expected} of them, e.g. --bands {example}, or use a model with '
                         f'model.backbone.in_channels={source.bands}')


class WithoutNodata(Rows):
    """Normalised pixels (rows, W, bands), with 0, the mean of the training data, where the image has no data.

    Otherwise a nodata value such as NaN or -9999 would spread through convolutions to its neighbours, and through the
    sums over the image, even with a weight of 0, to every label.

    Args:
        pixels: the pixels within the mask's box.
        mask: tells where the image has data.
    """

    def __init__(self, pixels: Rows, mask: DataMask) -> None:
        super().__init__(pixels.height, pixels.width)
        self.pixels, self.mask = pixels.reader(), mask

    def compute(self, start: int, stop: int) -> Tensor:
        rows, valid = self.pixels.read(start, stop), self.mask.read(start, stop)
        return rows if valid is None else rows.where(valid.to(rows.device)[..., None], 0)

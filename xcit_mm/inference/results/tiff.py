"""Label maps and class probabilities as cloud-optimised GeoTIFF files, written a few rows at a time."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from ...classes import class_index
from .cloud_optimised import cloud_optimised, kept_bytes, require_storable
from .part import NO_PROBABILITY, STEPS, Part
from .probabilities import probability_ending
from .sink import SINKS, ResultMeta, Sink


@SINKS.register_module(name='tiff')
class TiffLabels(Sink):
    """Write ``<name>_classes.tif``: a cloud-optimised GeoTIFF in the place of the image.

    Overviews show the most frequent class of the pixels that they replace. With up to 255 classes, labels are 8-bit and
    come with a colour table; with more, they are 16-bit. Labels are written as they are computed, to a temporary file
    in the same folder, so the full map is never in memory.
    """

    summary = 'a cloud-optimised GeoTIFF of class indices with a colour table and the georeference of the image'
    endings = ('_classes.tif', )
    packages = ('rasterio', )

    def check(self, meta: ResultMeta) -> None:
        require_storable(meta)

    def kept_bytes(self, width: int) -> int:
        return kept_bytes(width)

    def write_labels(self, folder: Path, bands: Iterable[Tensor], meta: ResultMeta) -> None:
        def describe(file: Any) -> None:
            if meta.nodata < 256:
                file.write_colormap(1, {index: (*color, 255) for index, color in enumerate(meta.palette)})

        with cloud_optimised(folder / f'{meta.name}_classes.tif', meta, meta.nodata, 'MODE', describe) as tiles:
            for band in bands:
                tiles.add(band.numpy())


@SINKS.register_module(name='probabilities')
class TiffProbabilities(Sink):
    """Write ``<name>_probability_<index>_<class>.tif``: an 8-bit cloud-optimised GeoTIFF for each of some classes.

    The values 0 … 254 stand for 0 … 1, and the file says so (GDAL's scale); 255 marks pixels without data. Overviews
    show means.

    Args:
        classes: names or indices.
    """

    summary = 'a cloud-optimised GeoTIFF of the probability of each of some classes'
    packages = ('rasterio', )

    def __init__(self, classes: Sequence[int | str]) -> None:
        self.classes = classes

    def all_endings(self, classes: Sequence[str]) -> Sequence[str]:
        return [probability_ending(index, classes, 'tif') for index in self.needed_classes(classes)]

    def needed_classes(self, classes: Sequence[str]) -> Sequence[int]:
        return list(dict.fromkeys(class_index(classes, name) for name in self.classes))

    def check(self, meta: ResultMeta) -> None:
        require_storable(meta)

    def kept_bytes(self, width: int) -> int:
        return len(self.classes) * kept_bytes(width)

    def write(self, folder: Path, parts: Iterable[Part], meta: ResultMeta) -> None:
        def describe(index: int, file: Any) -> None:
            file.scales, file.descriptions = (1 / STEPS, ), (f'probability of {meta.classes[index]}', )

        with ExitStack() as files:
            tiles = {}
            for index in self.needed_classes(meta.classes):
                path = folder / f'{meta.name}{probability_ending(index, meta.classes, "tif")}'
                tiles[index] = files.enter_context(cloud_optimised(path, meta, NO_PROBABILITY, 'AVERAGE',
                                                                   partial(describe, index)))
            for part in parts:
                for index, file in tiles.items():
                    file.add(part.probabilities[index].numpy())

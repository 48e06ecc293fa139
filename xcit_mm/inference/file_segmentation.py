"""Segment an image file band by band, writing the labels as they are computed."""
from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from mmengine.logging import print_log
from mmseg.models import BaseSegmentor
from torch import Tensor

from ..errors import InputError
from ..ops.rows import Rows
from .pipeline import only_packs, reads_as_stored, to_rgb
from .results import ResultMeta, build_sinks, require_replaceable_results, write_labels
from .scene import Band, Scene
from .segmentation import Normalised, Options, Segmentation
from .sources import Source, open_source


def segment_to_files(model: BaseSegmentor, path: Path, folder: Path, options: Options, sinks: Sequence[str], name: str,
                     bands: Sequence[int] = ()) -> str:
    """Segment a file at full resolution and write the results; see ``segment_file``.

    Args:
        model, path, sinks, bands: see ``segment_file``.
        folder: where to write the results.
        options: how to segment.
        name: stem of the files to write.

    Returns:
        The mode used.
    """
    to = build_sinks(sinks)
    if not only_packs(model.cfg):
        raise InputError("segmenting a file by rows skips the config's test pipeline, but this pipeline does more than "
                         'read images in colour or as stored, and resize them; use inference_segmentor')
    require_replaceable_results(to, folder, name)
    as_stored = reads_as_stored(model.cfg)
    with ExitStack() as files:
        sources: list[Source] = []  # one for each mode tried, because a source can be read only once

        def open_scene() -> Scene:
            sources.append(source := files.enter_context(open_source(path, bands, as_stored)))
            require_bands(source, model)
            pixels = WithoutNodata(Normalised(source, model.data_preprocessor), source)
            return Scene(pixels, (source.height, source.width))

        def read_image() -> np.ndarray:
            with open_source(path, bands, as_stored) as source:
                return to_rgb(source.reader().read_all().numpy(), is_bgr=not as_stored)

        segmentation = Segmentation(model, open_scene, options)
        meta = ResultMeta(name, *segmentation.scene.size, classes=model.dataset_meta['classes'],
                          palette=model.dataset_meta['palette'], read_image=read_image,
                          georeference=sources[0].georeference)
        # Unlike a loop, map keeps no band while the next one is computed.
        write_labels(to, folder, map(lambda band: mark_nodata(band, sources[0], meta), segmentation), meta)
    print_log(f'statistics of {path.name}: {segmentation.build_statistics.name}', 'current')
    return str(segmentation.mode)


def require_bands(source: Source, model: BaseSegmentor) -> None:
    """Raise ``InputError`` unless an image has as many bands as the network expects."""
    stem = getattr(getattr(model, 'backbone', None), 'patch_embed', None)
    expected = getattr(stem, 'in_channels', source.bands)
    if source.bands != expected:
        example = ' '.join(str(min(band, source.bands)) for band in range(1, expected + 1))
        raise InputError(f'cannot segment {source.path}: {source.bands} of its bands would be read, but the backbone '
                         f'expects {expected}; choose {expected} of them, e.g. --bands {example}, or use a model with '
                         f'model.backbone.in_channels={source.bands}')


def mark_nodata(band: Band, source: Source, meta: ResultMeta) -> Tensor:
    """Return a band's labels (rows, W) on the CPU, with ``meta.nodata`` where the image has no data."""
    labels = band.labels.to('cpu', meta.dtype)
    valid = source.valid(band.start, band.start + len(labels))
    return labels if valid is None else labels.where(valid, meta.nodata)


class WithoutNodata(Rows):
    """Normalised pixels (rows, W, bands), with 0, the mean of the training data, where the image has no data.

    Otherwise a nodata value such as NaN or -9999 would spread through the sums over the image to every label.

    Args:
        pixels: the pixels.
        source: the image.
    """

    def __init__(self, pixels: Rows, source: Source) -> None:
        super().__init__(pixels.height, pixels.width)
        self.pixels, self.source = pixels.reader(), source

    def compute(self, start: int, stop: int) -> Tensor:
        rows, valid = self.pixels.read(start, stop), self.source.valid(start, stop)
        return rows if valid is None else rows.where(valid.to(rows.device)[..., None], 0)

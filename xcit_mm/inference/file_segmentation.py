"""Segment an image file band by band, writing the labels as they are computed."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path

from mmengine.logging import print_log
from mmseg.models import BaseSegmentor

from ..errors import InputError
from .file_parts import FileParts
from .file_picture import show
from .file_scenes import FileScenes
from .pipeline import only_packs, reads_as_stored, trained_bands
from .results import ResultMeta, SinkChoice, build_sinks, require_replaceable_results, write_parts
from .segmentation import Options, Segmentation
from .sources import ReadOptions


def segment_to_files(model: BaseSegmentor, path: Path, folder: Path, options: Options, sinks: Sequence[SinkChoice],
                     name: str, reading: ReadOptions) -> str:
    """Segment a file at full resolution and write the results; see ``segment_file``.

    Args:
        model, path, sinks: see ``segment_file``.
        folder: where to write the results.
        options: how to segment.
        name: stem of the files to write.
        reading: what to read. The config decides whether to read it as stored.

    Returns:
        The mode used; 'none' if no pixel has data, so that the network does not run.
    """
    to = build_sinks(sinks)
    if not only_packs(model.cfg):
        raise InputError("segmenting a file by rows skips the config's test pipeline, but this pipeline does more than "
                         'read images in colour or as stored, and resize them; use inference_segmentor')
    names = model.dataset_meta['classes']
    require_replaceable_results(to, folder, name, names)
    reading = replace(reading, as_stored=reads_as_stored(model.cfg), bands=reading.bands or trained_bands(model.cfg))

    with FileScenes(model, path, reading) as file:
        mask = file.mask
        meta = ResultMeta(name, mask.height, mask.width, names, model.dataset_meta['palette'],
                          partial(show, file.open_file, not reading.as_stored), file.georeference, file.microns)
        for sink in to:
            sink.check(meta)
        parts = FileParts(mask, meta, sorted({index for sink in to for index in sink.needed_classes(names)}))
        if (box := mask.box) is None:
            write_parts(to, folder, parts.without_data(0, meta.height), meta)
            print_log(f'{path.name}: no pixel has data', 'current')
            options.progress(1.0)
            return 'none'
        # Several sinks run after the network.
        kept = to[0].kept_bytes(meta.width) if len(to) == 1 else 0
        segmentation = Segmentation(model, file.open, replace(options, scratch=folder), kept)
        # Unlike a loop, map keeps no band while the next one is computed.
        write_parts(to, folder, chain(parts.without_data(0, box.top), map(parts.of_band, segmentation),
                                      parts.without_data(box.bottom, meta.height)), meta)
    print_log(f'statistics of {path.name}: {segmentation.build_statistics.name}', 'current')
    return str(segmentation.mode)

"""Segment an image file band by band, writing the labels as they are computed."""
from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from mmengine.logging import print_log
from mmseg.models import BaseSegmentor

from ..errors import InputError
from .labels import label_dtype
from .pipeline import only_packs, read_as_shown
from .results import ResultMeta, build_sinks, require_replaceable_results, write_labels
from .scene import Scene
from .segmentation import Normalised, Options, Segmentation
from .sources import Source, open_source


def segment_to_files(model: BaseSegmentor, path: Path, folder: Path, options: Options, sinks: Sequence[str], name: str
                     ) -> str:
    """Segment a file at full resolution and write the results; see ``segment_file``.

    Args:
        model, path, sinks: see ``segment_file``.
        folder: where to write the results.
        options: how to segment.
        name: stem of the files to write.

    Returns:
        The mode used.
    """
    to = build_sinks(sinks)
    if not only_packs(model.cfg):
        raise InputError("segmenting a file by rows skips the config's test pipeline, but this pipeline does more than "
                         'read BGR and resize; use inference_segmentor, or infer.py without --blocks')
    require_replaceable_results(to, folder, name)
    with ExitStack() as files:
        sources: list[Source] = []  # one for each mode tried, because a source can be read only once

        def open_scene() -> Scene:
            sources.append(files.enter_context(open_source(path)))
            size = sources[-1].height, sources[-1].width
            return Scene(Normalised(sources[-1], model.data_preprocessor), size)

        segmentation, dtype = Segmentation(model, open_scene, options), label_dtype(model)
        meta = ResultMeta(name, *segmentation.scene.size, classes=model.dataset_meta['classes'], dtype=dtype,
                          palette=model.dataset_meta['palette'], georeference=sources[0].georeference,
                          read_image=lambda: read_as_shown(model.cfg, path))
        # Unlike a loop, map keeps no band while the next one is computed.
        write_labels(to, folder, map(lambda band: band.labels.to('cpu', dtype), segmentation), meta)
    print_log(f'statistics of {path.name}: {segmentation.statistics}', 'current')
    return str(segmentation.mode)

"""Objects as JSON, with masks in COCO's run-length encoding."""
from __future__ import annotations

import json
from pathlib import Path

from mmengine.structures import InstanceData

from .record import result_file
from .sink import SINKS, ResultMeta, Sink


@SINKS.register_module(name='coco_json')
class CocoJson(Sink):
    """A sink for ``<name>_instances.json``: a list with one dict for each object.

    The keys are ``category`` (a name), ``score``, ``bbox`` (x, y, width, height in pixels) and, if there are masks,
    ``segmentation``, a run-length encoding.
    """

    summary = 'a JSON file of objects: category, score, box and mask'
    endings = ('_instances.json', )

    def write_objects(self, folder: Path, objects: InstanceData, meta: ResultMeta) -> None:
        rows = [dict(category=meta.classes[label], score=score, bbox=[left, top, right - left, bottom - top])
                for label, score, (left, top, right, bottom) in zip(
                    objects.labels.tolist(), objects.scores.tolist(), objects.bboxes.tolist())]
        if 'masks' in objects:
            for row, mask in zip(rows, objects.masks):
                row['segmentation'] = dict(size=mask['size'], counts=mask['counts'].decode())
        with result_file(folder / f'{meta.name}_instances.json') as file:
            file.write_text(json.dumps(rows))

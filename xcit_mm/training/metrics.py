"""Make mmseg and mmdet metrics match classes by name and report the classes that do not occur."""
from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from ..classes import list_names
from ..errors import InputError
from ..inference.results import draw_indices, save_png
from .coco_files import category_ids, check


def adapt(metric: BaseMetric) -> None:
    """Adapt a metric derived from mmdet's ``CocoMetric`` or mmseg's ``IoUMetric``; leave others alone."""
    kinds = {kind.__name__ for kind in type(metric).__mro__}
    if 'CocoMetric' in kinds:
        _match_categories(metric)
    elif 'IoUMetric' in kinds:
        _name_absent_classes(metric)
        _save_class_indices(metric)


def check_categories(metric: BaseMetric, classes: Sequence[str]) -> None:
    """Check that a metric's annotation file contains what the metric evaluates.

    Args:
        metric: any metric; only those with a COCO file are checked.
        classes: the classes of the data set.

    Raises:
        InputError: the categories do not include every class, or an object has no mask to compare with.
    """
    api = getattr(metric, '_coco_api', None)
    if api is None:
        return
    category_ids(api.dataset, classes, api.file)
    first = check(api.dataset, api.file)
    if first is not None and 'segm' in metric.metrics:
        raise InputError(f'cannot evaluate masks with {api.file}: annotation {first} lacks segmentation; complete the '
                         "file, or set metric='bbox' in the evaluator")


def _match_categories(metric: Any) -> None:
    """Translate labels into category ids by name: mmdet expects the file to list the categories in our order."""
    compute = metric.compute_metrics

    def compute_by_name(results: list) -> dict:
        api = getattr(metric, '_coco_api', None)
        if api is None:  # the metric uses the data set's annotations, which the labels match
            return compute(results)
        names = metric.dataset_meta['classes']
        ids = category_ids(api.dataset, names, api.file)
        for annotation in api.dataset.get('annotations', []):
            annotation.setdefault('iscrowd', 0)  # optional in a data set, but not in pycocotools
        # pycocotools sorts the ids, but mmdet's table of classes does not.
        metric.cat_ids = sorted(ids)
        position = np.array([metric.cat_ids.index(number) for number in ids])
        results = [(truth, found | dict(labels=position[found['labels']])) for truth, found in results]
        _warn([name for name, number in zip(names, ids) if not api.catToImgs.get(number)], 'object')
        return compute(results)

    metric.compute_metrics = compute_by_name


def _name_absent_classes(metric: Any) -> None:
    compute = metric.compute_metrics

    def compute_and_name(results: list) -> dict:
        if results and not metric.format_only:
            pixels = sum(result[3] for result in results)  # of each class, in the masks
            _warn([name for name, number in zip(metric.dataset_meta['classes'], pixels) if not number], 'pixel')
        return compute(results)

    metric.compute_metrics = compute_and_name


def _save_class_indices(metric: Any) -> None:
    """Save the same class indices as in all our other outputs, and never replace a file that is not a result.

    mmseg adds one to the indices if ``reduce_zero_label`` is set.
    """
    process, owners = metric.process, dict[Path, str]()

    def process_indices(data_batch: dict, data_samples: Sequence[dict]) -> None:
        folder, metric.output_dir = metric.output_dir, None
        try:
            process(data_batch, data_samples)
        finally:
            metric.output_dir = folder
        for sample in data_samples if folder else ():
            file = Path(folder, Path(sample['img_path']).stem + '.png')
            if owners.setdefault(file, sample['img_path']) != sample['img_path']:
                raise InputError(f'cannot write {file}: it already holds the result for {owners[file]}; rename '
                                 f'{sample["img_path"]}, or use --out of tools/test.py, which keeps subfolders')
            save_png(draw_indices(sample['pred_sem_seg']['data'][0].cpu()), file)

    metric.process = process_indices


def _warn(absent: list[str], part: str) -> None:
    if absent:
        print_log(f'no {part} of {list_names(absent)} occurs in the annotations of this evaluation: the scores of '
                  'these classes are nan, 0 or -1 and mean nothing', 'current', logging.WARNING)

"""Write the predictions of an evaluation to files."""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement, InstanceData

from ...classes import dataset_meta
from ...errors import InputError
from ...files import require_writable
from ...inference.pipeline import read_as_shown
from ...inference.results import (
    MIN_SCORE,
    ResultMeta,
    Sink,
    build_sinks,
    require_replaceable_results,
    write_labels,
)
from ...inference.sources import result_name


@HOOKS.register_module()
class ResultsHook(Hook):
    """Hook that writes the predictions of a test with sinks, replacing no files except results of earlier runs.

    Each file is named after its image. If the data set's images are in subfolders, so are the results.

    Args:
        folders: maps the name of each sink to its folder.
    """

    def __init__(self, folders: Mapping[str, str]) -> None:
        self.targets: list[tuple[str, Sink, Path]] = [
            (name, sink, Path(folder)) for (name, folder), sink in zip(folders.items(), build_sinks(list(folders)))]

    def before_test(self, runner: Runner) -> None:
        """Raise ``InputError`` if a folder is not writable or a result would replace another file."""
        dataset = runner.test_dataloader.dataset
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        model = getattr(model, 'module', model)  # inside a model for test-time augmentation
        self.config, self.roots = runner.cfg, list(_image_folders(dataset))
        self.known = dataset_meta(self.config, model, {})
        owners: dict[str, str] = {}
        for index in range(len(dataset)):
            path = dataset.get_data_info(index)['img_path']
            name = result_name(Path(path), self.roots)
            if owners.setdefault(name, path) != path:
                raise InputError(f'cannot write results: {owners[name]} and {path} would both become {name}; '
                                 'rename one of them')
        for _, sink, folder in self.targets:
            require_writable(folder)
            for name in owners:
                require_replaceable_results([sink], folder, name, self.known['classes'])

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None,
                        outputs: Sequence[BaseDataElement] | None = None) -> None:
        """Write the results of a batch."""
        for sample in outputs or ():
            path = Path(sample.img_path)
            height, width = sample.ori_shape[:2]
            meta = ResultMeta(result_name(path, self.roots), height, width, self.known['classes'],
                              self.known['palette'], partial(self._read_image, path))
            if 'pred_sem_seg' in sample:
                labels = sample.pred_sem_seg.data[0].cpu()
                for _, sink, folder in self.targets:
                    write_labels([sink], folder, [labels], meta)
            elif 'pred_instances' in sample:
                objects = _encoded(sample.pred_instances)
                for name, sink, folder in self.targets:
                    shown = objects[objects.scores >= MIN_SCORE] if name == 'overlay' else objects
                    sink.write_objects(folder, shown, meta)

    def _read_image(self, path: Path) -> list[np.ndarray]:
        return [read_as_shown(self.config, path)]


def _image_folders(dataset: object) -> Iterator[str]:
    """Yield the image folder of every data set in a (nested) data set."""
    for inner in getattr(dataset, 'datasets', None) or [getattr(dataset, 'dataset', None)]:
        if inner is not None:
            yield from _image_folders(inner)
    prefixes = getattr(dataset, 'data_prefix', None) or {}
    yield from (folder for key, folder in prefixes.items() if key in ('img_path', 'img') and folder)


def _encoded(instances: InstanceData) -> InstanceData:
    """Return a copy of the objects on the CPU with run-length encoded masks; the metric still needs the originals."""
    from ...inference.detection import encode_masks  # only detection needs mmdet

    copied = instances.cpu()
    return encode_masks(copied) if 'masks' in copied else copied

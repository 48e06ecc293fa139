"""Segmentation of one image in any mode: labels, logits and probabilities."""
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.structures import PixelData
from mmseg.models import BaseSegmentor
from mmseg.structures import SegDataSample

from ..errors import InputError
from ..statistics import Choice
from .choose_statistics import AUTO, StatisticsFactory, statistics_bytes
from .labels import label_dtype, num_logits, to_probabilities
from .memory import parse_bytes
from .modes import Budget, Mode, build_mode
from .precision import choose_precision, run_in
from .scene import Band, Scene

IN_TEST_CFG = ('mode', 'max_memory', 'statistics', 'precision', 'return_logits')


@dataclass(frozen=True)
class Options:
    """How to segment an image, and which maps to return.

    Attributes:
        mode: a registered inference mode.
        max_memory: limit for the process (on a GPU, for its tensors): bytes, or a string such as ``'2GB'``. Default:
            all free memory.
        statistics: a registered statistic, by name or as ``dict(type=name, ...)``, or ``'auto'``.
        precision: ``'float32'``, ``'bfloat16'``, or ``'auto'`` for the faster one.
        return_logits: whether to return ``seg_logits``, which take 4 bytes per class per pixel.
        classes: indices of the classes to return probabilities for.
        progress: called with the fraction of the work done, from 0 to 1.
        scratch: folder for temporary files with large maps; None to keep them in memory.
    """
    mode: str = 'auto'
    max_memory: int | str | None = None
    statistics: Choice = AUTO
    precision: str = 'float32'
    return_logits: bool = False
    classes: Sequence[int] = ()
    progress: Callable[[float], None] = lambda share: None
    scratch: Path | None = None

    @classmethod
    def of_config(cls, test_cfg: Mapping) -> Options:
        """Read the ``IN_TEST_CFG`` settings from a segmentor's ``test_cfg``."""
        return cls(**{key: test_cfg[key] for key in IN_TEST_CFG if key in test_cfg})


class Segmentation:
    """The segmentation of one image: an iterable of ``Band`` from top to bottom.

    Args:
        model: a segmentor.
        open_scene: returns the image; called once for each mode that is tried, because rows are read only once.
        options: how to run.
        result_bytes: main memory that the caller needs for its results.

    Attributes:
        build_statistics: chooses and builds the statistics; its ``name`` and ``last`` tell which were used.
        scene: the image.
        precision: ``'float32'`` or ``'bfloat16'``.
        mode: the mode used. If ``options.mode`` is auto and the GPU runs out of memory before the first band, the next
            mode takes its place.

    Raises:
        InputError: the mode, statistic or precision is unknown, the model cannot run in this mode, or memory is
            insufficient.
    """

    def __init__(self, model: BaseSegmentor, open_scene: Callable[[], Scene], options: Options,
                 result_bytes: int = 0) -> None:
        self.model, self.open_scene, self.options, self.result_bytes = model, open_scene, options, result_bytes
        self.device = next(model.parameters()).device
        self.requested, self.scene = build_mode(options.mode, options.scratch), open_scene()
        self._use(self.requested.choose(model, self.scene, self._budget()))

    def _use(self, mode: Mode) -> None:
        self.build_statistics = StatisticsFactory(self.model, mode, self.scene, self.options.statistics)
        self.mode = mode
        if mode.takes_precision:
            self.precision = choose_precision(self.options.precision, self.device)
        elif self.options.precision == 'bfloat16':
            raise InputError(f"mode {mode.name} runs the model's own prediction code in its own precision; use "
                             "precision='float32' or 'auto'")
        else:
            self.precision = 'float32'
        needed = statistics_bytes(self.model, self.build_statistics.last, self.scene)
        if needed and mode.runs_whole_image:  # a window's sums are small
            needed += mode.estimate_bytes(self.model, self.scene.pixels.height, self.scene.pixels.width)
            budget, name = self._budget(), f'{mode.name} with statistics {self.build_statistics.name}'
            if not budget.suffices(needed) and (
                    other := self.requested.choose_after(mode, self.model, self.scene, budget)):
                other.reason = f'not enough memory for {name}'
                return self._use(other)
            budget.require(name, needed, self.scene)

    def _budget(self) -> Budget:
        return Budget(self.device, parse_bytes(self.options.max_memory), self.result_bytes)

    @torch.no_grad()
    def __iter__(self) -> Iterator[Band]:
        while True:
            has_begun = False
            try:
                bands = self.mode.bands(self.model, self.scene, self.build_statistics, self._report)
                while True:
                    with run_in(self.precision, self.device):  # not while the caller uses the band
                        band = next(bands, None)
                    if band is None:
                        return self.build_statistics.warn()
                    has_begun = True
                    yield band
                    del band  # before the next one is computed
            except torch.OutOfMemoryError:  # holds the tensors of the failed mode until this block ends
                pass
            torch.cuda.empty_cache()  # other modes need blocks of other sizes
            self._use(self._next_mode(has_begun))

    def _report(self, share: float) -> None:
        """Call the user's callback, outside of our autocast context."""
        with nullcontext() if self.precision == 'float32' else torch.autocast(self.device.type, enabled=False):
            self.options.progress(share)

    def _next_mode(self, has_begun: bool) -> Mode:
        """Return the mode to try after the current one ran out of memory.

        Raises:
            InputError: no mode is left to try, or bands have already been returned.
        """
        if not has_begun:
            self.scene = self.open_scene()
            if other := self.requested.choose_after(self.mode, self.model, self.scene, self._budget()):
                return other
        advice = 'another device' if self.mode.name == 'banded' else 'mode banded, or another device'
        raise InputError(f'the GPU ran out of memory in mode {self.mode.name}; use {advice}')


def segment(model: BaseSegmentor, open_scene: Callable[[], Scene], sample: SegDataSample, options: Options
            ) -> SegDataSample:
    """Segment an image and store the results in a sample, on the CPU; see ``inference_segmentor``.

    Args:
        open_scene: see ``Segmentation``.
        sample: the sample to add the results to.

    Returns:
        The sample with ``pred_sem_seg`` (1, H, W) int64, ``mode``, ``statistics``, ``statistics_spread`` and
        ``precision``, and on request ``seg_logits`` (channels, H, W) and ``seg_probabilities`` (classes, H, W), both
        float32.
    """
    pixel_bytes = 9 + 4 * (len(options.classes) + options.return_logits * num_logits(model))  # labels become int64
    height, width = sample.ori_shape
    segmentation = Segmentation(model, open_scene, options, pixel_bytes * height * width)
    maps = dict(pred_sem_seg=torch.empty(1, height, width, dtype=label_dtype(model)))
    for start, labels, scores in segmentation:
        wanted = dict(pred_sem_seg=labels[..., None])
        if options.return_logits or options.classes:
            if scores is None:
                raise InputError(f'a {type(model).__name__} predicts labels without logits; ask for labels only')
            if options.return_logits:
                wanted['seg_logits'] = scores
            if options.classes:
                wanted['seg_probabilities'] = to_probabilities(scores, options.classes)
        for name, part in wanted.items():
            if name not in maps:
                maps[name] = torch.empty(part.shape[2], height, width, dtype=torch.float32)
            maps[name][:, start:start + len(part)] = part.permute(2, 0, 1)
        del labels, scores, wanted, part  # before the next band is computed
    maps['pred_sem_seg'] = maps['pred_sem_seg'].long()
    sample.set_data({name: PixelData(data=content) for name, content in maps.items()})
    sample.set_metainfo(dict(mode=str(segmentation.mode), statistics=segmentation.build_statistics.name,
                             statistics_spread=segmentation.build_statistics.last.spread,
                             precision=segmentation.precision))
    return sample

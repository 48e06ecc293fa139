"""The interface of an inference mode, and the registry of modes."""
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import torch
from mmengine.registry import Registry

from ...errors import InputError
from ...ops.row_operations import Pointwise
from ...ops.rows import Rows
from ...statistics import Statistics
from ..backbone_statistics import require_xcit
from ..labels import num_logits, to_labels, to_scores
from ..scene import Band, Scene
from .footprint import Budget

if TYPE_CHECKING:
    from mmseg.models import BaseSegmentor

MODES = Registry('inference mode')
Progress = Callable[[float], None]


class Mode(ABC):
    """A way to compute the logits of an image.

    To make a subclass available by name in Python, in ``test_cfg`` and on the command line, register it with
    ``@MODES.register_module(name=...)``.

    Attributes:
        name: the name by which users select the mode.
        summary: one line for help texts.
        share_before: fraction of the time spent before the first rows of logits are computed, from 0 to 1.
        takes_precision: whether products run in the precision that the user asks for.
        runs_whole_image: whether the network computes its statistics over the whole image.
        scratch: folder for temporary files; None to keep everything in memory.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    share_before: ClassVar[float] = 0.0
    takes_precision: ClassVar[bool] = True
    runs_whole_image: ClassVar[bool] = True
    scratch: Path | None = None
    reason: str = ''  # why mode auto could not choose a better mode

    def __str__(self) -> str:
        return f'{self.name} ({self.reason})' if self.reason else self.name

    def check(self, model: BaseSegmentor) -> None:
        """Raise ``InputError`` unless a model can run in this mode."""
        from ...heads.standard import is_standard  # imports mmseg, which only a segmentor needs

        require_eval(model)
        if not is_standard(model):
            raise InputError(f'mode {self.name} needs a segmentor that predicts like mmseg\'s EncoderDecoder, but this '
                             f'{type(model).__name__} has its own prediction code; use mode auto or delegated')

    @abstractmethod
    def estimate_bytes(self, model: BaseSegmentor, height: int, width: int) -> int:
        """Estimate the peak memory of the mode's tensors, in bytes, excluding the model and the image.

        Args:
            model: has passed ``check``.
            height, width: of the network's input, px.
        """

    @abstractmethod
    def logits(self, model: BaseSegmentor, pixels: Rows, statistics: Callable[[], Statistics],
               progress: Progress) -> Rows:
        """Compute the logits of an image at any resolution: (rows, W, classes).

        Args:
            model: has passed ``check``.
            pixels: (rows, W, 3), normalised.
            statistics: returns empty sums for one pass through the network.
            progress: called with the completed fraction of the work that precedes the first row, from 0 to 1.
        """

    def choose(self, model: BaseSegmentor, scene: Scene, budget: Budget) -> Mode:
        """Return the mode to run: this one, unless its purpose is to select another.

        Raises:
            InputError: the model cannot run in this mode, or memory is insufficient.
        """
        self.check(model)
        budget.require(self.name, self.estimate_bytes(model, scene.pixels.height, scene.pixels.width), scene)
        return self

    def choose_after(self, failed: Mode, model: BaseSegmentor, scene: Scene, budget: Budget) -> Mode | None:
        """Return the mode to run after the GPU ran out of memory in a mode that this one chose; None if none is left.

        Raises:
            InputError: memory is insufficient for that mode.
        """
        return None

    def rows(self, model: BaseSegmentor, scene: Scene, statistics: Callable[[], Statistics],
             progress: Progress) -> Rows:
        """Return a scene's logits at the size of its result: (rows, W, classes)."""
        if not statistics().is_plain:
            require_xcit(model)
        dtype = next(model.backbone.parameters()).dtype  # preprocessors normalise in float32
        pixels = scene.pixels if dtype == torch.float32 else Pointwise(scene.pixels, lambda rows: rows.to(dtype))
        logits = self.logits(model, pixels, statistics, lambda share: progress(self.share_before * share))
        return scene.fit(logits, model.decode_head.align_corners)

    def bands(self, model: BaseSegmentor, scene: Scene, statistics: Callable[[], Statistics],
              progress: Progress) -> Iterator[Band]:
        """Compute the result for a scene, band by band from top to bottom.

        Args:
            model, statistics: see ``logits``.
            scene: the image.
            progress: called with the fraction of all the work done, from 0 to 1.
        """
        reader = self.rows(model, scene, statistics, progress).reader()
        for start, stop in scene.bands(num_logits(model)):
            scores = to_scores(reader.read(start, stop))
            yield Band(start, to_labels(model, scores), scores)
            del scores  # before the next band is computed
            progress(self.share_before + (1 - self.share_before) * stop / scene.size[0])


def require_eval(model: BaseSegmentor) -> None:
    """Raise ``InputError`` if any part of a model is in training mode."""
    if any(module.training for module in model.modules()):
        raise InputError('inference needs a model in eval mode: call its eval() first')


def build_mode(name: str, scratch: Path | None = None) -> Mode:
    """Build the mode registered under a name, with a folder for temporary files.

    Raises:
        InputError: no mode has this name.
    """
    if name not in MODES.module_dict:
        raise InputError(f'mode must be one of {", ".join(sorted(MODES.module_dict))}, but got {name!r}')
    mode: Mode = MODES.module_dict[name]()
    mode.scratch = scratch
    return mode

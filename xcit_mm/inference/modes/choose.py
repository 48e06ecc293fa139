"""Mode ``auto``, which selects another mode."""
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ...errors import InputError
from ...ops.rows import Rows
from ...statistics import Statistics
from ..scene import Scene
from .banded import Banded
from .delegated import Delegated
from .footprint import Budget
from .mode import MODES, Mode, Progress
from .slide import Slide
from .whole import Whole

if TYPE_CHECKING:
    from mmseg.models import BaseSegmentor


@MODES.register_module(name='auto')
class Auto(Mode):
    """The fastest mode that fits in memory.

    If the config sets mode ``slide``, use that mode, so that the network never sees more than one window. For a model
    that is not standard, use its own ``test_step``.
    """

    name = 'auto'
    summary = "the faster of whole and banded that fits in memory, or slide if the config's test_cfg sets it"

    def choose(self, model: BaseSegmentor, scene: Scene, budget: Budget) -> Mode:
        *others, last = self.candidates(model)
        for mode in others:
            if budget.suffices(mode.estimate_bytes(model, scene.pixels.height, scene.pixels.width)):
                return mode.choose(model, scene, budget)
        return last.choose(model, scene, budget)

    def choose_after(self, failed: Mode, model: BaseSegmentor, scene: Scene, budget: Budget) -> Mode | None:
        candidates = self.candidates(model)
        tried = [mode.name for mode in candidates].index(failed.name)
        for other in candidates[tried + 1:]:
            chosen = other.choose(model, scene, budget)
            chosen.reason = f'{failed.name} ran out of GPU memory'
            return chosen
        return None

    def candidates(self, model: BaseSegmentor) -> list[Mode]:
        """Return the modes in which a model can run, fastest first."""
        from ...heads.standard import is_standard  # imports mmseg, which only a segmentor needs

        if not is_standard(model):
            return [Delegated()]
        if model.test_cfg.get('mode') == 'slide':
            return [Slide()]
        banded = Banded()
        banded.scratch = self.scratch
        try:
            banded.check(model)
        except InputError as error:
            whole = Whole()
            whole.reason = str(error).partition('; ')[0]  # the rest is advice
            return [whole]
        # Bands fit in a CPU's caches. On a GPU, their many small kernels add overhead.
        return [Whole(), banded] if next(model.parameters()).is_cuda else [banded]

    def estimate_bytes(self, model: BaseSegmentor, height: int, width: int) -> int:
        return min(mode.estimate_bytes(model, height, width) for mode in self.candidates(model))

    def logits(self, model: BaseSegmentor, pixels: Rows, statistics: Callable[[], Statistics],
               progress: Progress) -> Rows:
        return self.candidates(model)[0].logits(model, pixels, statistics, progress)

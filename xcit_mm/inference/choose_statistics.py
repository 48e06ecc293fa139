"""Choose the statistics that a network computes over an image."""
from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from mmengine.logging import print_log
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from ..backbone import XCiT
from ..layers import CrossCovarianceAttention
from ..ops.modification import can_bypass
from ..statistics import LARGE_SPREAD, Adaptive, Choice, Statistics, TokenGrid, build_statistics
from .backbone_statistics import own_statistics, passed_to_backbone
from .modes import Mode
from .scene import Scene

if TYPE_CHECKING:
    from mmseg.models import BaseSegmentor

AUTO = 'auto'
# An image with up to this many times as many pixels as a training crop uses its own statistics, as in training.
LARGE = 2.0


def choose_statistics(model: BaseSegmentor, mode: Mode, scene: Scene, wanted: Choice) -> Choice:
    """Return the statistic to use.

    ``'auto'`` stands for the backbone's own statistic, if it has one. Otherwise, it stands for ``'adaptive'`` if the
    mode runs the whole image, at full resolution, and the image is much larger than the training crops (see ``LARGE``);
    in all other cases, it stands for ``'image'``, as published.

    Args:
        model: its ``data_preprocessor.size`` is the size of the training crops.
        mode: the mode that will run.
        scene: the image.
        wanted: the user's choice.
    """
    if not _is_auto(wanted):
        return wanted
    if own := own_statistics(model):
        return own
    return 'adaptive' if _may_mix_content(model, mode, scene) else 'image'


def _may_mix_content(model: BaseSegmentor, mode: Mode, scene: Scene) -> bool:
    crop = _crop(model)
    is_large = crop and scene.pixels.height * scene.pixels.width > LARGE * math.prod(crop)
    usable = mode.runs_whole_image and not scene.is_resized and _takes_statistics(getattr(model, 'backbone', None))
    return bool(is_large and usable)


def _is_auto(wanted: Choice | None) -> bool:
    return wanted is None or wanted == AUTO or isinstance(wanted, Mapping) and wanted.get('type') == AUTO


def _crop(model: BaseModel) -> tuple[int, int] | None:
    """Return the height and width of the training crops, px, or None if they are unknown."""
    size = getattr(model.data_preprocessor, 'size', None)
    return tuple(size) if size else None


@contextmanager
def use_statistics(model: BaseModel, wanted: Choice, sample: BaseDataElement) -> Iterator[None]:
    """Make a detector's backbone use a statistic within the ``with`` block, and record it in the image's sample.

    Args:
        model: a detector that calls its backbone as a module, so that hooks run.
        wanted: the user's choice; ``'auto'`` stands for the backbone's own statistic or, if it has none, ``'image'``.
        sample: the sample of the only image in the batch; its ``img_shape`` excludes padding.

    Raises:
        InputError: the backbone is not an XCiT, or the statistic cannot be built.
    """
    own = own_statistics(model)
    chosen = (own or 'image') if _is_auto(wanted) else wanted
    sample.set_metainfo(dict(statistics=describe_statistics(chosen)))
    height, width = sample.img_shape[:2]

    def build(images: Tensor) -> Statistics:
        return build_statistics(chosen, (0, images.shape[3] - width, 0, images.shape[2] - height), _crop(model))

    is_default = build_statistics(chosen).is_plain and not own
    with nullcontext() if is_default else passed_to_backbone(model, build):
        yield


class StatisticsFactory:
    """Chooses a statistic and creates empty sums for each pass over a scene.

    The sums leave out the padding and, if the network allows it, pixels without data.

    If ``'image'`` was chosen where ``'auto'`` stands for ``'adaptive'``, the sums also measure the spread.

    Args:
        model, mode, scene, wanted: see ``choose_statistics``.

    Attributes:
        last: the sums created last.

    Raises:
        InputError: the statistic is unknown, or does not accept the given arguments.
    """

    def __init__(self, model: BaseSegmentor, mode: Mode, scene: Scene, wanted: Choice) -> None:
        self.padding, self.crop = scene.padding, _crop(model)
        # A network that can only sum over all pixels also counts those without data, which hold the mean.
        self.coverage = scene.coverage if _takes_statistics(getattr(model, 'backbone', None)) else None
        self.chosen = choose_statistics(model, mode, scene, wanted)
        self.is_watched = self.chosen in ('image', dict(type='image')) and _may_mix_content(model, mode, scene)
        self()

    def __call__(self) -> Statistics:
        chosen = Adaptive(math.inf) if self.is_watched else self.chosen
        self.last = build_statistics(chosen, self.padding, self.crop, self.coverage)
        return self.last

    @property
    def name(self) -> str:
        """A description of the statistic; before a pass, ``'adaptive'`` is not resolved yet."""
        return self.last.used or describe_statistics(self.chosen)

    def warn(self) -> None:
        """Warn, after a pass, if the sums of the whole image mixed kinds of content that are too different."""
        if self.is_watched and (spread := self.last.spread or 0) >= LARGE_SPREAD:
            print_log(f'the image contains very different kinds of content (statistics_spread is {spread:.2f}), so '
                      "statistics='mixture' should segment it better than 'image'", 'current', logging.WARNING)


def statistics_bytes(model: BaseSegmentor, statistics: Statistics, scene: Scene) -> float:
    """Estimate the memory that a statistic needs for a scene, in bytes."""
    backbone = getattr(model, 'backbone', None)
    if statistics.is_plain or not isinstance(backbone, XCiT):
        return 0
    grid = TokenGrid((scene.pixels.height, scene.pixels.width), backbone.variant.patch_size, scene.padding)
    return statistics.estimate_bytes(grid, backbone.variant.embed_dim)


def describe_statistics(chosen: Choice) -> str:
    """Describe statistics in one line, such as ``local (size=(256, 256))``."""
    if isinstance(chosen, (str, Statistics)):
        return chosen if isinstance(chosen, str) else type(chosen).__name__
    arguments = ', '.join(f'{key}={value!r}' for key, value in chosen.items() if key != 'type')
    return f'{chosen.get("type")} ({arguments})' if arguments else str(chosen.get('type'))


def _takes_statistics(backbone: nn.Module | None) -> bool:
    """Return whether attention can use statistics other than the published ones: whether its Gram form is exact."""
    if type(backbone) is not XCiT:
        return False
    layers = [module for module in backbone.blocks.modules() if isinstance(module, CrossCovarianceAttention)]
    return len(layers) == len(backbone.blocks) and all(
        can_bypass(layer, CrossCovarianceAttention) and layer.can_use_gram() for layer in layers)

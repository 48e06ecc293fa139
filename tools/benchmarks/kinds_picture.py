"""Draw a scene, the kinds of content that the mixture finds in it, and its labels in each view."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from mmengine.model import BaseModel

from xcit_mm.apis import inference_segmentor
from xcit_mm.files import complete_file
from xcit_mm.statistics import Mixture

from .views import build_view

PANEL = 2.6  # inches
CORRECT, MISSED, FALSE = (90, 90, 90), (255, 60, 60), (255, 200, 0)  # RGB of foreground


def draw(model: BaseModel, image: np.ndarray, mask: np.ndarray, views: Sequence[str], path: Path) -> None:
    """Write a picture with a panel for the scene, the kinds, and each view.

    In a view's panel, correct foreground is grey, missed foreground red, and false foreground yellow.

    Args:
        model: from ``init_model``.
        image: (H, W, 3) uint8, BGR.
        mask: (H, W), class indices; 0 is the background.
        views: see ``build_view``.
        path: PNG file to write.
    """
    mixture = Mixture()
    inference_segmentor(model, image, 'banded', statistics=mixture, full_resolution=True)
    panels = {'scene': image[..., ::-1], 'kinds of content': mixture.kind_map()[0].numpy()}
    for name in views:
        panels[name] = _errors(build_view(model, name)(image).scores.argmax(dim=0).numpy(), mask)
    figure = Figure(figsize=(PANEL * len(panels), PANEL * 1.12), layout='constrained')
    for axes, (name, panel) in zip(figure.subplots(1, len(panels)), panels.items()):
        axes.imshow(panel, cmap='tab10', vmin=0, vmax=9, interpolation='nearest')
        axes.set_title(name, fontsize=9)
        axes.set_axis_off()
    with complete_file(path) as file:
        figure.savefig(file, dpi=110, format='png')


def _errors(labels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    picture = np.full((*mask.shape, 3), 255, np.uint8)
    picture[(mask > 0) & (labels == mask)] = CORRECT
    picture[(mask > 0) & (labels != mask)] = MISSED
    picture[(mask == 0) & (labels > 0)] = FALSE
    return picture

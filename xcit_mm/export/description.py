"""Describe an exported function in its file's metadata."""
from __future__ import annotations

import json

from mmengine.model import BaseModel

from .. import __version__
from .functions import Levels, Logits


def describe(model: BaseModel, function: Levels | Logits) -> dict[str, str]:
    """Describe how to prepare an image and what the function returns.

    Args:
        model: from ``init_model``.
        function: ``exported_function`` of the model.

    Returns:
        ``color`` (channel order: RGB, BGR, or 'unchanged' for another number of channels), ``mean`` and ``std`` (for
        pixels from 0 to 255: the input is (pixel - mean) / std), ``strides`` (of the outputs), ``classes`` (of logits)
        and ``xcit_mm`` (version); lists as JSON.
    """
    preprocessor = model.data_preprocessor
    # Pipelines read images as BGR, which a preprocessor may reverse; mmseg and mmdet name this setting differently.
    settings = model.cfg.model.get('data_preprocessor') or {}
    reverses = settings.get('bgr_to_rgb') or settings.get('rgb_to_bgr')
    color = 'RGB' if reverses else 'BGR'
    # mmseg's preprocessor reverses images of three channels only.
    facts = dict(color=color if function.in_channels == 3 else 'unchanged', xcit_mm=__version__)
    for name, neutral in dict(mean=0.0, std=1.0).items():
        values = getattr(preprocessor, name, None)
        facts[name] = json.dumps([neutral] * function.in_channels if values is None else
                                 [round(v, 4) for v in values.flatten().tolist()])
    facts['strides'] = json.dumps(function.strides)
    if function.has_classes:
        facts['classes'] = json.dumps(model.dataset_meta['classes'], ensure_ascii=False)
    return facts

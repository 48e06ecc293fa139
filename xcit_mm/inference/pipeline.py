"""Run images through a config's test pipeline, and through a model's own test step."""
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement

from ..config import find_test_dataset
from .sources import Image, ImageFile, find_source, open_source, read_image

RESIZING = ('Resize', 'RandomResize', 'ResizeShortestEdge', 'ResizeToMultiple')


def prepare_image(config: Config, image: Image, full_resolution: bool = False) -> dict:
    """Run an image through the test pipeline.

    Args:
        config: the model's config; its default scope must be the current one.
        image: see ``inference_segmentor``.
        full_resolution: skip the transforms that resize.

    Returns:
        ``inputs`` and ``data_samples`` of one image, for a batch that a model's ``test_step`` accepts.

    Raises:
        InputError: see ``inference_segmentor``.
    """
    steps, loader = find_test_dataset(config).pipeline, _loader(config)
    steps = without_resizing(steps) if full_resolution else steps
    steps = [step for step in steps if _name(step) not in ('LoadImageFromFile', 'LoadAnnotations')]
    from_array = dict(type=f'{config.get("default_scope", "mmseg")}.LoadImageFromNDArray',
                      to_float32=loader.get('to_float32', False))
    decoding = {key: loader[key] for key in ('color_type', 'imdecode_backend') if key in loader}
    data = Compose([from_array, *steps])(dict(img=_decode(image, **decoding)))
    if isinstance(image, (str, Path)):
        data['data_samples'].set_metainfo(dict(img_path=str(image)))
    return data


def predict(model: BaseModel, data: dict) -> BaseDataElement:
    """Run the model's own ``test_step`` on an image from ``prepare_image``, as its MM project's test loop does."""
    return model.test_step(dict(inputs=[data['inputs']], data_samples=[data['data_samples']]))[0]


def read_as_shown(config: Config, path: Path) -> np.ndarray:
    """Read an image file in colour, oriented as in the test pipeline: (H, W, 3) uint8, BGR."""
    as_stored = 'ignore_orientation' in _loader(config).get('color_type', '')
    return _decode(path, color_type='color_ignore_orientation' if as_stored else 'color')


def _decode(image: Image, **decoding: str) -> np.ndarray:
    """Return an image as an array (H, W, 3), decoded by mmcv unless only another source supports the suffix."""
    path = Path(image) if isinstance(image, (str, Path)) else None
    if path is None or path.suffix.lower() in ImageFile.suffixes or find_source(path) is None:
        return read_image(image, **decoding)
    with open_source(path) as source:
        return source.reader().read_all().numpy()


def _loader(config: Config) -> dict:
    return next((step for step in find_test_dataset(config).pipeline if _name(step) == 'LoadImageFromFile'), {})


def without_resizing(steps: list) -> list:
    """Return a pipeline's transforms except those that resize."""
    return [step for step in steps if _name(step) not in RESIZING]


def only_packs(config: Config) -> bool:
    """Return whether the pipeline, apart from resizing, only reads a BGR image and packs it."""
    loader = _loader(config)
    decoding = loader.get('color_type', 'color'), loader.get('imdecode_backend', 'cv2')
    known = {'LoadImageFromFile', 'LoadAnnotations', 'PackSegInputs', *RESIZING}
    return {_name(step) for step in find_test_dataset(config).pipeline} <= known and decoding == ('color', 'cv2')


def _name(step: Mapping) -> str:
    """Return the class name of a transform, whose type is a bare name, a name with a scope or module, or a class."""
    return getattr(step['type'], '__name__', str(step['type'])).rsplit('.', 1)[-1]

"""An image from anywhere through the test pipeline of a config, and through the model."""
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from mmengine.config import Config, ConfigDict
from mmengine.dataset import Compose
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement

from ..errors import InputError
from .sources.image_file import Image, read_image

RESIZING = ('Resize', 'RandomResize', 'ResizeShortestEdge', 'ResizeToMultiple')


def prepare_image(config: Config, image: Image, full_resolution: bool = False) -> dict:
    """``inputs`` and ``data_samples`` as a model's ``test_step`` takes them, of one image.

    Args:
        config: of the model; its default scope is the current one.
        image: as in ``inference_segmentor``.
        full_resolution: leave out what resizes.

    Raises:
        InputError: see ``inference_segmentor``.
    """
    steps, loader = find_test_dataset(config).pipeline, _loader(config)
    left_out = ('LoadImageFromFile', 'LoadAnnotations', *(RESIZING if full_resolution else ()))
    steps = [step for step in steps if _name(step) not in left_out]
    from_array = dict(type=f'{config.get("default_scope", "mmseg")}.LoadImageFromNDArray',
                      to_float32=loader.get('to_float32', False))
    decoding = {key: loader[key] for key in ('color_type', 'imdecode_backend') if key in loader}
    return Compose([from_array, *steps])(dict(img=read_image(image, **decoding)))


def predict(model: BaseModel, data: dict) -> BaseDataElement:
    """What the model's own MM project makes of an image of ``prepare_image``, as its test loop has it."""
    return model.test_step(dict(inputs=[data['inputs']], data_samples=[data['data_samples']]))[0]


def read_as_shown(config: Config, path: Path) -> np.ndarray:
    """An image file in colour, turned as the pipeline turns it: (H, W, 3) uint8, BGR."""
    as_stored = 'ignore_orientation' in _loader(config).get('color_type', '')
    return read_image(path, color_type='color_ignore_orientation' if as_stored else 'color')


def _loader(config: Config) -> dict:
    return next((step for step in find_test_dataset(config).pipeline if _name(step) == 'LoadImageFromFile'), {})


def only_packs(config: Config) -> bool:
    """Whether the pipeline at full resolution does nothing but to read BGR, and to pack what it has read."""
    steps = find_test_dataset(config).pipeline
    loader = _loader(config)
    way = loader.get('color_type', 'color'), loader.get('imdecode_backend', 'cv2')
    known = {'LoadImageFromFile', 'LoadAnnotations', 'PackSegInputs', *RESIZING}
    return {_name(step) for step in steps} <= known and way == ('color', 'cv2')


def find_test_dataset(config: Config) -> ConfigDict:
    """The config of the test data, or of the first data set within wrappers such as ConcatDataset."""
    dataset = (config.get('test_dataloader') or {}).get('dataset') or {}
    while 'dataset' in dataset or 'datasets' in dataset:
        dataset = dataset['dataset'] if 'dataset' in dataset else dataset['datasets'][0]
    if 'pipeline' not in dataset:
        raise InputError('the config has no test_dataloader.dataset.pipeline, which tells how to prepare an image')
    return dataset


def _name(step: Mapping) -> str:
    """The class name of a transform, which configs write bare, with scope or module, or as the class."""
    return getattr(step['type'], '__name__', str(step['type'])).rsplit('.', 1)[-1]

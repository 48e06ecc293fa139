"""Inference from Python."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import DATASETS, MODELS, init_default_scope
from mmengine.structures import BaseDataElement
from torch import nn

from . import checkpoints
from .config import load_config
from .errors import InputError

Image = str | Path | np.ndarray


def init_model(config: str | Path | Config, checkpoint: str | Path | None = None,
               device: str | torch.device = 'cpu') -> nn.Module:
    """Build a model from a config, ready for inference.

    Args:
        config: config file, or a config.
        checkpoint: file or URL of a training checkpoint or of a bare state dict. Without one the
            weights are random.
        device: where the model runs.

    Returns:
        The model in eval mode, with ``cfg`` and ``dataset_meta`` (``classes`` and ``palette``).

    Raises:
        InputError: a file is not there or not readable, or the weights do not fit.
    """
    if not isinstance(config, Config):
        config = load_config(config)
    init_default_scope(config.get('default_scope', 'mmseg'))
    model = MODELS.build(config.model)
    meta = {}
    if checkpoint is not None:
        content = checkpoints.read(checkpoint)
        checkpoints.load(model, content, str(checkpoint))
        meta = (content.get('meta') or {}).get('dataset_meta') or {}
    model.cfg = config
    model.dataset_meta = _dataset_meta(config) | dict(meta)
    return model.to(device).eval()


@torch.no_grad()
def inference_segmentor(model: nn.Module, image: Image | Sequence[Image]
                        ) -> BaseDataElement | list[BaseDataElement]:
    """Segment an image or a list of images through the config's test pipeline.

    Args:
        model: from ``init_model``.
        image: path or array, or a list of them. Arrays are (H, W, 3) BGR or (H, W) grey, uint8.

    Returns:
        An mmseg ``SegDataSample``, or a list where a list was given: ``pred_sem_seg.data`` is a
        (1, H, W) int64 map of class indices and ``seg_logits.data`` (classes, H, W) float32, both
        of the image's own size.

    Raises:
        InputError: an empty list, a file that is not there or no image, or an array of another
            shape or dtype.
    """
    if isinstance(image, (list, tuple)):
        if not image:
            raise InputError('no image to segment: the list is empty')
        return [inference_segmentor(model, one) for one in image]
    init_default_scope(model.cfg.get('default_scope', 'mmseg'))
    steps = [step for step in model.cfg.test_dataloader.dataset.pipeline
             if step['type'] not in ('LoadImageFromFile', 'LoadAnnotations')]
    data = Compose([dict(type='LoadImageFromNDArray'), *steps])(dict(img=read_image(image)))
    return model.test_step(dict(inputs=[data['inputs']], data_samples=[data['data_samples']]))[0]


def read_image(image: Image) -> np.ndarray:
    """Read an image file as mmcv does, or check an array: (H, W, 3) uint8, BGR.

    Raises:
        InputError: see ``inference_segmentor``.
    """
    if isinstance(image, (str, Path)):
        if not Path(image).is_file():
            raise InputError(f'no image file {image}')
        array = cv2.imdecode(np.fromfile(image, np.uint8), cv2.IMREAD_COLOR) if Path(image).stat().st_size else None
        if array is None:
            raise InputError(f'cannot read {image}: it is damaged or not an image')
        return array
    if not isinstance(image, np.ndarray):
        raise InputError(f'an image must be a path or a numpy array, but is {type(image).__name__}')
    if image.dtype != np.uint8:
        raise InputError(f'an image array must be uint8 (0 … 255), but is {image.dtype}')
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    if image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise InputError(f'an image array must be (H, W, 3) BGR or (H, W) grey, but is {image.shape}')
    return image


def _dataset_meta(config: Config) -> dict:
    """Classes and palette of the config's test data; weights alone do not tell them."""
    dataset = config.test_dataloader.dataset
    meta = dict(getattr(DATASETS.get(dataset.type), 'METAINFO', {}))
    meta.update(dataset.get('metainfo') or {})
    return meta

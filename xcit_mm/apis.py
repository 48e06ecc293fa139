"""Inference from Python."""
from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.model import BaseModel
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import BaseDataElement

from . import checkpoints
from .classes import dataset_meta
from .config import load_config
from .errors import InputError
from .inference.memory import parse_bytes
from .inference.pipeline import predict, prepare_image
from .inference.sources.image_file import Image

Result = Any  # a BaseDataElement of MMEngine's, which has no types; for a list of images, a list of them
MODES = ('auto', 'whole', 'banded', 'slide')  # of inference_segmentor


def init_model(config: str | Path | Config, checkpoint: str | Path | None = None,
               device: str | torch.device = 'cpu') -> BaseModel:
    """Build a model from a config, ready for inference.

    Args:
        config: config file, or a config.
        checkpoint: file or URL of a training checkpoint or of a bare state dict. Without one the
            weights are random.
        device: where the model runs.

    Returns:
        The model in eval mode, with ``cfg`` and ``dataset_meta`` (``classes`` and ``palette``).

    Raises:
        InputError: a file is not there or not readable, the weights do not fit, the config has no
            test data, or there is no such device.
    """
    if not isinstance(config, Config):
        config = load_config(config)
    init_default_scope(config.get('default_scope', 'mmseg'))
    model = MODELS.build(config.model)
    content = {}
    if checkpoint is None:
        print_log('no checkpoint was given: the weights are random', 'current', logging.WARNING)
    else:
        content = checkpoints.read(checkpoint)
        checkpoints.load(model, content, name=str(checkpoint))
    model.cfg, model.dataset_meta = config, dataset_meta(config, model, content)
    try:
        return model.to(device).eval()
    except (AssertionError, RuntimeError) as error:  # AssertionError: a torch built without CUDA
        raise InputError(f'cannot use the device {device}: {str(error).splitlines()[0]}') from None


@torch.no_grad()
def inference_segmentor(
        model: BaseModel, image: Image | Sequence[Image], mode: str = 'auto', *,
        max_memory: int | str | None = None, full_resolution: bool = False, return_logits: bool = False,
        return_probability_of: int | str | Sequence[int | str] = (),
        progress: Callable[[float], None] = lambda share: None
) -> Result:
    """Segment an image or a list of images through the config's test pipeline.

    Args:
        model: from ``init_model``.
        image: path or array, or a list of them. Arrays are (H, W, 3) BGR or (H, W) grey, uint8;
            files are decoded as the pipeline's ``LoadImageFromFile`` says: unless it says otherwise, grey becomes
            BGR, transparency is left out, and 16 bits are divided by 256.
        mode: ``'whole'`` gives the network the whole image at once. ``'banded'`` computes the same band by
            band of rows, in bounded memory: for XCiT with UPerHead or Semantic FPN. ``'slide'`` averages over the
            windows of the config's ``test_cfg``. ``'auto'`` slides if the config says so; else it takes the faster
            one of the others that fits the memory.
        max_memory: for the whole process, or on a GPU for its tensors: bytes, or a text such as ``'2GB'``.
            Default: what is free.
        full_resolution: do not resize the image, though the pipeline does: the network sees every pixel.
        return_logits: whether logits are wanted, 4 bytes for each class and pixel.
        return_probability_of: class or classes whose probabilities are wanted, by index or name.
        progress: called with the share of an image that is done, 0 … 1.

    Returns:
        An mmseg ``SegDataSample``, or a list where a list was given, with maps of the image's own size on the CPU:
        ``pred_sem_seg.data`` (1, H, W) int64, class indices; where wanted, ``seg_logits.data`` (classes, H, W) and
        ``seg_probabilities.data`` (wanted classes, H, W) in 0 … 1, both float32. ``mode`` is the one that was taken;
        ``'own'`` for a model that predicts, or whose preprocessing pads, in a way of its own, and is left to it.

    Raises:
        InputError: an unknown mode or class, a model that cannot run in this mode, not enough memory, an empty
            list, a file that is not there or no image, or an array of another shape or dtype.
    """
    if mode not in MODES:
        raise InputError(f'mode must be one of {", ".join(MODES)}, but is {mode!r}')
    from .inference.segmentation import segment  # which imports mmseg, and a detector needs none

    limit = parse_bytes(max_memory)
    wanted = return_probability_of
    names = [wanted] if isinstance(wanted, (int, np.integer, str)) else wanted
    classes = [_class_index(model, name) for name in names]

    def run(data: dict) -> BaseDataElement:
        return segment(model, data, mode, limit, return_logits, classes, progress)

    return _infer(model, image, run, full_resolution)


@torch.no_grad()
def inference_detector(model: BaseModel, image: Image | Sequence[Image], *, boxes_only: bool = False,
                       rle: bool = False) -> Result:
    """Find the objects in an image or in each of a list of images, through the config's test pipeline.

    Args:
        model: from ``init_model``.
        image: as for ``inference_segmentor``.
        boxes_only: leave out the masks.
        rle: encode masks one by one: Mask R-CNN's memory then does not grow with objects times pixels.

    Returns:
        An mmdet ``DetDataSample``, or a list where a list was given: ``pred_instances`` holds, best score
        first, ``bboxes`` (n, 4) float32 (left, top, right, bottom in pixels of the image), ``labels`` (n,)
        class indices, ``scores`` (n,) in 0 … 1, and ``masks``: (n, H, W) bool of the image's own size, or
        with ``rle`` a list of n run-length encodings as pycocotools has them.

    Raises:
        InputError: as ``inference_segmentor``.
    """
    def run(data: dict) -> BaseDataElement:
        if boxes_only or rle:
            from .inference.detection import detect  # which imports mmdet, and a segmentor needs none

            return detect(model, data, with_masks=not boxes_only)
        return predict(model, data)

    return _infer(model, image, run)


def _infer(model: BaseModel, image: Image | Sequence[Image], run: Callable[[dict], BaseDataElement],
           full_resolution: bool = False) -> Result:
    if isinstance(image, Sequence) and not isinstance(image, str):
        if not image:
            raise InputError('no image to look at: the list is empty')
        return [_infer(model, one, run, full_resolution) for one in image]
    init_default_scope(model.cfg.get('default_scope', 'mmseg'))
    return run(prepare_image(model.cfg, image, full_resolution))


def _class_index(model: BaseModel, name: int | str) -> int:
    names = model.dataset_meta['classes']
    if name in names:
        return names.index(name)
    if not isinstance(name, str) and 0 <= name < len(names):
        return int(name)
    raise InputError(f'no class {name!r}; there are 0 … {len(names) - 1}: {", ".join(names)}')

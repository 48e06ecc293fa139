"""Inference from Python."""
from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config, ConfigDict
from mmengine.dataset import Compose
from mmengine.logging import print_log
from mmengine.registry import DATASETS, MODELS, init_default_scope
from mmengine.structures import BaseDataElement, PixelData
from torch import nn

from . import checkpoints
from .config import load_config
from .errors import InputError
from .images import Image, read_image

MODES = ('config', 'banded')  # of inference_segmentor


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
        InputError: a file is not there or not readable, the weights do not fit, the config has no
            test data, or there is no such device.
    """
    if not isinstance(config, Config):
        config = load_config(config)
    init_default_scope(config.get('default_scope', 'mmseg'))
    model = MODELS.build(config.model)
    meta = _dataset_meta(config)
    if checkpoint is None:
        print_log('no checkpoint was given: the weights are random', 'current', logging.WARNING)
    else:
        content = checkpoints.read(checkpoint)
        checkpoints.load(model, content, name=str(checkpoint))
        meta |= (content.get('meta') or {}).get('dataset_meta') or {}
    model.cfg, model.dataset_meta = config, _complete_meta(meta, _num_classes(model))
    try:
        return model.to(device).eval()
    except (AssertionError, RuntimeError) as error:  # AssertionError: a torch built without CUDA
        raise InputError(f'cannot use the device {device}: {str(error).splitlines()[0]}') from None


@torch.no_grad()
def inference_segmentor(model: nn.Module, image: Image | Sequence[Image], mode: str = 'config'
                        ) -> BaseDataElement | list[BaseDataElement]:
    """Segment an image or a list of images through the config's test pipeline.

    Args:
        model: from ``init_model``.
        image: path or array, or a list of them. Arrays are (H, W, 3) BGR or (H, W) grey, uint8;
            files are decoded as the pipeline's ``LoadImageFromFile`` says.
        mode: ``'config'`` does what the config's ``test_cfg`` says, the whole image at once or sliding
            windows. ``'banded'`` computes what the whole image at once gives, band by band of rows, in
            bounded memory: for XCiT with UPerHead or Semantic FPN.

    Returns:
        An mmseg ``SegDataSample``, or a list where a list was given: ``pred_sem_seg.data`` is a
        (1, H, W) int64 map of class indices and, but for ``'banded'``, ``seg_logits.data`` (classes, H, W)
        float32, both of the image's own size.

    Raises:
        InputError: an unknown mode, a model without bands, an empty list, a file that is not there or no
            image, or an array of another shape or dtype.
    """
    if mode not in MODES:
        raise InputError(f'mode must be one of {", ".join(MODES)}, but is {mode!r}')
    return _infer(model, image, 'mmseg.LoadImageFromNDArray', _run_banded if mode == 'banded' else _run)


@torch.no_grad()
def inference_detector(model: nn.Module, image: Image | Sequence[Image]) -> BaseDataElement | list[BaseDataElement]:
    """Find the objects in an image or in each of a list of images, through the config's test pipeline.

    Args:
        model: from ``init_model``.
        image: as for ``inference_segmentor``.

    Returns:
        An mmdet ``DetDataSample``, or a list where a list was given: ``pred_instances`` holds, best score
        first, ``bboxes`` (n, 4) float32 (left, top, right, bottom in pixels of the image), ``labels`` (n,)
        class indices, ``scores`` (n,) in 0 … 1, and ``masks`` (n, H, W) bool of the image's own size.

    Raises:
        InputError: as ``inference_segmentor``.
    """
    return _infer(model, image, 'mmdet.LoadImageFromNDArray', _run)


def _infer(model: nn.Module, image: Image | Sequence[Image], loading: str,
           run: Callable[[nn.Module, dict], BaseDataElement]) -> BaseDataElement | list[BaseDataElement]:
    if isinstance(image, (list, tuple)):
        if not image:
            raise InputError('no image to look at: the list is empty')
        return [_infer(model, one, loading, run) for one in image]
    init_default_scope(model.cfg.get('default_scope', 'mmseg'))
    steps = _test_dataset(model.cfg).pipeline
    loader = next((step for step in steps if _name(step) == 'LoadImageFromFile'), {})
    steps = [step for step in steps if _name(step) not in ('LoadImageFromFile', 'LoadAnnotations')]
    from_array = dict(type=loading, to_float32=loader.get('to_float32', False))
    decoding = {key: loader[key] for key in ('color_type', 'imdecode_backend') if key in loader}
    return run(model, Compose([from_array, *steps])(dict(img=read_image(image, **decoding))))


def _run(model: nn.Module, data: dict) -> BaseDataElement:
    return model.test_step(dict(inputs=[data['inputs']], data_samples=[data['data_samples']]))[0]


def _run_banded(model: nn.Module, data: dict) -> BaseDataElement:
    from .streaming import segment_by_bands  # which imports mmseg, and a detector needs none

    sample = data['data_samples']
    labels = segment_by_bands(model, data['inputs'].permute(1, 2, 0), sample.ori_shape)
    sample.set_data(dict(pred_sem_seg=PixelData(data=labels[None].long())))
    return sample


def _name(step: Mapping) -> str:
    """The class name of a transform, which configs write bare, with scope or module, or as the class."""
    return getattr(step['type'], '__name__', str(step['type'])).rsplit('.', 1)[-1]


def _test_dataset(config: Config) -> ConfigDict:
    """The config of the test data, or of the first data set within wrappers such as ConcatDataset."""
    dataset = (config.get('test_dataloader') or {}).get('dataset') or {}
    while 'dataset' in dataset or 'datasets' in dataset:
        dataset = dataset['dataset'] if 'dataset' in dataset else dataset['datasets'][0]
    if 'pipeline' not in dataset:
        raise InputError('the config has no test_dataloader.dataset.pipeline, which tells how to prepare an image')
    return dataset


def _dataset_meta(config: Config) -> dict:
    """What the config's test data say of classes and palette; weights alone do not tell them."""
    dataset = _test_dataset(config)
    with DATASETS.switch_scope_and_registry(config.get('default_scope', 'mmseg')) as registry:
        kind = dataset.type if isinstance(dataset.type, type) else registry.get(dataset.type)
    return dict(getattr(kind, 'METAINFO', {})) | dict(dataset.get('metainfo') or {})


def _num_classes(model: nn.Module) -> int:
    """Of a segmentor, or of a detector with one or two stages."""
    second_stage = getattr(model, 'roi_head', model)
    for part in (model, getattr(second_stage, 'bbox_head', None)):
        if hasattr(part, 'num_classes'):
            return part.num_classes
    return 0


def _complete_meta(meta: dict, num_classes: int) -> dict:
    """Number classes that have no names; choose colours where there is not one for each."""
    classes = tuple(meta.get('classes') or map(str, range(num_classes)))
    palette = meta.get('palette') or ()
    if len(palette) != len(classes):
        palette = np.random.default_rng(42).integers(0, 256, (len(classes), 3)).tolist()
    return meta | dict(classes=classes, palette=palette)

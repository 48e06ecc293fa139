"""The Python API for inference."""
from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
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
from .classes import class_index, dataset_meta
from .config import load_config
from .config_contents import default_scope, require_task
from .errors import InputError
from .inference.choose_statistics import use_statistics
from .inference.pipeline import Progress, predict, predict_each
from .inference.precision import choose_precision, features_in
from .inference.sources import Image, ReadOptions
from .statistics import Choice

Result = Any  # MMEngine's untyped BaseDataElement, or a list of them for a list of images


def init_model(config: str | Path | Config, checkpoint: str | Path | None = None,
               device: str | torch.device = 'cpu') -> BaseModel:
    """Build a model from a config, ready for inference.

    Args:
        config: a config, or the path of its file.
        checkpoint: file or URL of a training checkpoint or a bare state dict. Without one, the weights are random.
        device: where the model runs.

    Returns:
        The model in eval mode, with ``cfg`` and ``dataset_meta`` (``classes`` and ``palette``).

    Raises:
        InputError: a file does not exist or cannot be read, the weights do not fit, the config has no test data, or
            the device does not exist.
    """
    if not isinstance(config, Config):
        config = load_config(config)
    init_default_scope(default_scope(config))
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
    except (AssertionError, RuntimeError) as error:  # AssertionError: torch was built without CUDA
        raise InputError(f'cannot use the device {device}: {str(error).splitlines()[0]}') from None


@torch.no_grad()
def inference_segmentor(
        model: BaseModel, image: Image | Sequence[Image], mode: str = 'auto', *,
        max_memory: int | str | None = None, statistics: Choice = 'auto', precision: str = 'float32',
        full_resolution: bool = False, return_logits: bool = False,
        return_probability_of: int | str | Sequence[int | str] = (), progress: Progress = lambda share: None
) -> Result:
    """Segment an image or a list of images, using the config's test pipeline.

    Args:
        model: from ``init_model``.
        image: path, array or PIL image, or a list of them. Arrays are (H, W, 3) BGR, (H, W, 4) BGRA, or (H, W) or
            (H, W, 1) grey, uint8 or uint16. Grey becomes BGR, alpha is dropped, and 16-bit values are divided by 256.
            If the pipeline's ``LoadImageFromFile`` has ``color_type='unchanged'`` or ``imdecode_backend='tifffile'``,
            bands and dtype are kept instead. See ``inference.sources.decode``.
        mode: ``'whole'`` runs the whole image through the network at once. ``'banded'`` computes the same result in
            bands of rows, in bounded memory, for XCiT with UPerHead or Semantic FPN. ``'slide'`` averages over
            sliding windows, as set in the config's ``test_cfg``. ``'delegated'`` runs the model's own ``test_step``.
            ``'auto'`` slides if the config does, delegates if the model has its own prediction code, and otherwise
            uses the faster of ``'whole'`` and ``'banded'`` that fits in memory.
        max_memory: memory limit for the process (on a GPU, for its tensors): bytes, or a string such as ``'2GB'``.
            Default: all free memory.
        statistics: what the network sums over: ``'image'``, the whole image, as published; ``'mixture'``, each kind of
            content in the image; ``'local'``, neighbourhoods as large as the training crops; or another registered
            statistic (see ``xcit_mm.statistics``). ``'frozen'`` uses recorded sums instead. Give a name,
            ``dict(type=name, ...)`` with arguments, or a ``Statistics``. ``'auto'`` uses ``'mixture'`` for an image
            that is not resized, has more than twice the area of the training crops (``data_preprocessor.size``), and
            contains very different kinds of content (``'adaptive'``); otherwise, it uses ``'image'``.
        precision: ``'float32'``; ``'bfloat16'`` for products and convolutions, which is faster on devices with
            instructions for it; or ``'auto'``, which chooses bfloat16 on such devices. Not for mode ``'delegated'``.
        full_resolution: skip the pipeline's resizing, so that the network sees every pixel.
        return_logits: whether to return logits, which take 4 bytes per class per pixel.
        return_probability_of: class or classes to return probabilities for, by index (7) or name ('7').
        progress: called with the completed fraction of the work on all images, from 0 to 1.

    Returns:
        An mmseg ``SegDataSample``, or a list of them for a list of images. Its maps are on the CPU and have the
        image's size: ``pred_sem_seg.data`` (1, H, W) int64, class indices; on request, ``seg_logits.data`` (channels,
        H, W) float32, after the sigmoid if the head has one channel; and on request, ``seg_probabilities.data``
        (classes, H, W) float32. ``mode``, ``statistics`` and ``precision`` are the ones that were used;
        ``statistics_spread`` is ``Statistics.spread``.

    Raises:
        InputError: the mode, class, statistic or precision is unknown, the model is for another task or cannot run in
            this mode, memory is insufficient, the list is empty, a file does not exist or is not an image, or an array
            has the wrong shape or dtype.
    """
    from .inference.scene import scene_of
    from .inference.segmentation import Options, segment  # imports mmseg, which a detector does not need

    require_task(model, 'segmentor')
    names = [return_probability_of] if isinstance(return_probability_of, (int, np.integer, str)) else (
        return_probability_of)
    classes = [class_index(model.dataset_meta['classes'], name) for name in names]

    def run(data: dict, advance: Progress) -> BaseDataElement:
        options = Options(mode, max_memory, statistics, precision, return_logits, classes, advance)
        return segment(model, partial(scene_of, model, data), data['data_samples'], options)

    return predict_each(model, image, run, full_resolution, progress)


@torch.no_grad()
def segment_file(model: BaseModel, path: str | Path, out_dir: str | Path, mode: str = 'auto', *,
                 max_memory: int | str | None = None, statistics: Choice = 'auto', precision: str = 'float32',
                 sinks: Sequence[str | Mapping] = ('tiff', ), name: str | None = None, bands: Sequence[int] = (),
                 level: int | None = None, microns_per_pixel: float | None = None,
                 progress: Progress = lambda share: None) -> str:
    """Segment an image file, without resizing it, and write the result; only pictures other than TIFF are read at once.

    Args:
        model: from ``init_model``.
        path: image file that a registered source or GDAL reads (see ``inference.sources``). As in training, 16-bit
            values are divided by 256, unless the config loads images with ``imdecode_backend='tifffile'``.
        out_dir: folder, created if needed.
        mode, max_memory, statistics, precision, progress: see ``inference_segmentor``.
        sinks: registered sinks to write the result with, by name or as ``dict(type=name, ...)`` with arguments (see
            ``inference.results``).
        name: stem of the files to write; default: the file's name without its suffix.
        bands: numbers of the bands to read, from 1, in the order of the network's channels; default: all except alpha.
        level: level of a slide, OME-TIFF or OME-Zarr pyramid to read, from 0, the finest and the default. The labels
            have its size; polygons are in pixels of level 0.
        microns_per_pixel: size of the pixels to read from a pyramid, instead of a level. The next finer level is
            reduced to it, unless a level has it to within 1 %.

    Returns:
        The mode used, as in a sample's ``mode``; ``'none'`` if no pixel has data.

    Raises:
        InputError: see ``inference_segmentor``; also if a sink, its arguments or a class is unknown, a package is
            missing, the pipeline does more than read and resize images, the number of bands is wrong, or a result would
            overwrite the user's file.
    """
    from .inference.file_segmentation import segment_to_files  # imports mmseg, which a detector does not need
    from .inference.segmentation import Options

    require_task(model, 'segmentor')
    options = Options(mode, max_memory, statistics, precision, progress=progress)
    reading = ReadOptions(bands, level=level, microns_per_pixel=microns_per_pixel)
    return segment_to_files(model, Path(path), Path(out_dir), options, sinks, name or Path(path).stem, reading)


@torch.no_grad()
def inference_detector(model: BaseModel, image: Image | Sequence[Image], *, statistics: Choice = 'auto',
                       precision: str = 'float32', boxes_only: bool = False, rle: bool = False) -> Result:
    """Detect objects in an image or a list of images, using the config's test pipeline.

    Args:
        model: from ``init_model``.
        image: see ``inference_segmentor``.
        statistics: see ``inference_segmentor``, except that ``'auto'`` never selects ``'adaptive'``.
        precision: see ``inference_segmentor``.
        boxes_only: return no masks.
        rle: run-length encode the masks, a few at a time, so that Mask R-CNN does not hold all of them at full size.

    Returns:
        An mmdet ``DetDataSample``, or a list of them for a list of images, on the CPU. Its ``pred_instances``, best
        score first, have ``bboxes`` (n, 4) float32 (left, top, right, bottom in image pixels), ``labels`` (n,) class
        indices, ``scores`` (n,) from 0 to 1, and ``masks``: (n, H, W) bool at the image's size, or with ``rle`` a list
        of n run-length encodings in pycocotools' format. ``statistics`` and ``precision`` are the ones that were used.

    Raises:
        InputError: see ``inference_segmentor``.
    """
    def run(data: dict, advance: Progress) -> BaseDataElement:
        sample = data['data_samples']
        sample.set_metainfo(dict(precision=choose_precision(precision, next(model.parameters()).device)))
        with use_statistics(model, statistics, sample), features_in(sample.precision, model):
            if not boxes_only and not rle:
                return predict(model, data)
            from .inference.detection import detect  # imports mmdet, which a segmentor does not need

            return detect(model, data, with_masks=not boxes_only)

    require_task(model, 'detector')
    return predict_each(model, image, run)

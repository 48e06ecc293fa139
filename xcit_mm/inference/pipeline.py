"""Run images through a config's test pipeline and through the model's own test step."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement

from ..config_contents import find_test_dataset, type_name, use_default_scope
from ..errors import InputError
from .display import to_rgb
from .resizing import keep_a_pixel
from .sources import Image, ReadOptions, find_source, open_source, read_image

Progress = Callable[[float], None]  # called with the completed fraction of the work, from 0 to 1
READING = ('LoadImageFromFile', 'LoadAnnotations', 'LoadRasterWindow', 'LoadRasterLabels')
RESIZING = ('Resize', 'RandomResize', 'RandomChoiceResize', 'FixShapeResize', 'ResizeShortestEdge',
            'ResizeToMultiple')


class ImagePipeline:
    """A config's test pipeline, applied to images that may also be arrays.

    Args:
        config: the model's config, whose default scope must be the current one.
        full_resolution: skip the transforms that resize.
    """

    def __init__(self, config: Config, full_resolution: bool = False) -> None:
        steps, loader = find_test_dataset(config).pipeline, _loader(config)
        steps = without_resizing(steps) if full_resolution else steps
        self.compose = Compose([
            step for step in steps if type_name(step['type']) not in READING])
        for step in self.compose.transforms:
            keep_a_pixel(step)
        self.decoding, self.to_float32 = _decoding(config), loader.get('to_float32', False)
        self.full_resolution = full_resolution

    def __call__(self, image: Image) -> dict:
        """Prepare one image; see ``prepare_image``."""
        pixels = _decode(image, **self.decoding)
        size = pixels.shape[:2]
        data = self.compose(dict(img=pixels.astype(np.float32) if self.to_float32 else pixels, img_path=None,
                                 img_shape=size, ori_shape=size))
        if self.full_resolution:
            _require_original_size(data['data_samples'])
        if isinstance(image, (str, Path)):
            data['data_samples'].set_metainfo(dict(img_path=str(image)))
        return data


def prepare_image(config: Config, image: Image, full_resolution: bool = False) -> dict:
    """Run an image through the test pipeline.

    Args:
        config, full_resolution: see ``ImagePipeline``.
        image: see ``inference_segmentor``.

    Returns:
        ``inputs`` and ``data_samples`` of one image, to be batched for a model's ``test_step``.

    Raises:
        InputError: see ``inference_segmentor``.
    """
    return ImagePipeline(config, full_resolution)(image)


def predict(model: BaseModel, data: dict) -> BaseDataElement:
    """Run the model's own ``test_step`` on an image from ``prepare_image``, as its MM project's test loop does."""
    return model.test_step(dict(inputs=[data['inputs']], data_samples=[data['data_samples']]))[0]


def predict_each(model: BaseModel, image: Image | Sequence[Image], run: Callable[[dict, Progress], BaseDataElement],
                 full_resolution: bool = False, progress: Progress = lambda share: None) -> Any:
    """Call ``run`` with each prepared image and a callback for its progress."""
    with use_default_scope(model.cfg):
        pipeline = ImagePipeline(model.cfg, full_resolution)
        if not isinstance(image, Sequence) or isinstance(image, str):
            return run(pipeline(image), progress).cpu()
        if not image:
            raise InputError('the image list is empty')
        return [run(pipeline(one), partial(_advance, progress, index, len(image))).cpu()
                for index, one in enumerate(image)]


def _advance(progress: Progress, index: int, number: int, share: float) -> None:
    """Report the progress over ``number`` images when a share of image ``index`` is done."""
    progress((index + share) / number)


def read_as_shown(config: Config, path: Path) -> np.ndarray:
    """Read an image file for display, oriented as in the pipeline: (H, W, 3) uint8, RGB; see ``to_rgb``."""
    decoding = _decoding(config)
    if decoding.get('imdecode_backend') != 'tifffile' and decoding.get('color_type') != 'unchanged':
        as_stored = 'ignore_orientation' in decoding.get('color_type', '')
        decoding = dict(color_type='color_ignore_orientation' if as_stored else 'color')
    return to_rgb(_decode(path, **decoding), decoding.get('imdecode_backend') != 'tifffile')


def _decoding(config: Config) -> dict[str, Any]:
    """Return the arguments with which ``_decode`` reads an image as the pipeline does."""
    if is_raster_data(config):
        return dict(imdecode_backend='tifffile', bands=trained_bands(config))
    loader = _loader(config)
    return {key: loader[key] for key in ('color_type', 'imdecode_backend') if loader.get(key)}


def _decode(image: Image, bands: Sequence[int] | None = None, **decoding: str) -> np.ndarray:
    """Return an image as an array, using the shared decoder unless it is a raster to be read by bands or another source
    is registered for its suffix.
    """
    if isinstance(image, (str, Path)):
        kind = find_source(Path(image))
        if bands is not None or kind is not None and not kind.formats:
            options = ReadOptions(bands or (), as_stored=decoding.get('imdecode_backend') == 'tifffile')
            with open_source(Path(image), options) as source:
                return source.reader().read_all().numpy()
    return read_image(image, **decoding)


def _loader(config: Config) -> dict:
    steps = find_test_dataset(config).pipeline
    return next((step for step in steps if type_name(step['type']) == 'LoadImageFromFile'), {})


def without_resizing(steps: list) -> list:
    """Return a pipeline's transforms without those that resize, including any inside others such as RandomChoice."""
    kept: list = []
    for step in steps:
        if isinstance(step, (list, tuple)):  # one of several pipelines to choose from
            kept += [inner] if (inner := without_resizing(list(step))) or not step else []
        elif type_name(step['type']) not in RESIZING:
            inner = without_resizing(list(step.get('transforms') or ()))
            if inner or not step.get('transforms'):
                kept.append(dict(step, transforms=inner) if inner else step)
    return kept


def _require_original_size(sample: BaseDataElement) -> None:
    """Reject an image that a custom transform has resized although full resolution was requested."""
    scale, (height, width) = sample.get('scale_factor'), sample.ori_shape[:2]
    is_scaled = scale is not None and not np.allclose(scale, 1)
    if is_scaled or sample.img_shape[0] < height or sample.img_shape[1] < width:
        raise InputError('cannot use full resolution: a transform in the test pipeline resizes the image from '
                         f'{width} x {height} to {sample.img_shape[1]} x {sample.img_shape[0]} pixels; remove it from '
                         'the config')


def only_packs(config: Config) -> bool:
    """Return whether the pipeline, at full resolution, only reads images (as BGR or as stored) and packs them."""
    known = {'PackSegInputs', *READING, *RESIZING}
    return {type_name(step['type']) for step in find_test_dataset(config).pipeline} <= known and (
        _decoding(config).get('color_type', 'color') == 'color')


def reads_as_stored(config: Config) -> bool:
    """Return whether the config's images keep all bands or the chosen ones, in their order and dtype."""
    return _decoding(config).get('imdecode_backend') == 'tifffile'


def is_raster_data(config: Config) -> bool:
    """Return whether the config's test data are rasters, whose values are never changed; see ``RasterDataset``."""
    return type_name(find_test_dataset(config).get('type')) == 'RasterDataset'


def trained_bands(config: Config) -> tuple[int, ...]:
    """Return the numbers of the bands that the config chooses from its rasters; () if it chooses none."""
    return tuple(find_test_dataset(config).get('bands', ())) if is_raster_data(config) else ()

"""Set how a config is evaluated: inference mode, resolution, augmentation and results to write."""
from __future__ import annotations

from typing import Any

from mmengine.config import Config

from ..config_contents import is_detector, iterate_test_data, type_name
from ..errors import InputError
from ..inference.pipeline import without_resizing
from .hooks import ResultsHook

BOUNDED = 'xcit_mm.inference.segmentor.BoundedEncoderDecoder'
BOUNDED_TTA = 'xcit_mm.inference.tta.BoundedTTAModel'


def set_inference(config: Config, **settings: Any) -> None:
    """Set how a config's segmentor predicts, replacing mmseg's ``EncoderDecoder`` with ours.

    Args:
        config: changed in place.
        settings: keys of ``test_cfg``, see ``BoundedEncoderDecoder``; None leaves a setting as it is in the config.

    Raises:
        InputError: the model is of another type.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    kind = type_name(config.model.type)
    if given and kind not in ('EncoderDecoder', 'BoundedEncoderDecoder'):
        raise InputError(f'--{" and --".join(given)} need an EncoderDecoder, but the model is a {kind}; leave them out')
    if given:
        config.model.type = BOUNDED
        config.model.setdefault('test_cfg', {}).update(given)


def use_full_resolution(config: Config) -> None:
    """Evaluate images and labels at their original size."""
    for dataset in iterate_test_data(config):
        dataset.pipeline = without_resizing(dataset.pipeline)


def use_augmentation(config: Config) -> None:
    """Evaluate with the config's test-time augmentation, as mmseg's and mmdet's own tools do.

    Raises:
        InputError: the config does not define any test-time augmentation.
    """
    missing = [name for name in ('tta_pipeline', 'tta_model') if not config.get(name)]
    if missing:
        raise InputError(f'cannot use --tta: the config has no {" and no ".join(missing)}; add '
                         'tta_pipeline with a TestTimeAug, and tta_model')
    for dataset in iterate_test_data(config):
        dataset.pipeline = config.tta_pipeline
    if type_name(config.model.type) == 'BoundedEncoderDecoder' and type_name(config.tta_model.type) == 'SegTTAModel':
        config.tta_model.type = BOUNDED_TTA  # mmseg's class needs whole-image logits, which ours does not return
    config.model = dict(config.tta_model, module=config.model)


def save_results(config: Config, folder: str | None, pictures: str | None) -> None:
    """Write predictions to one folder, and pictures of them to another.

    Args:
        config: a segmentor's, to write PNG files of class indices, or a detector's, to write JSON files of objects.
        folder, pictures: the two folders; None to skip that output.
    """
    sink = 'coco_json' if is_detector(config) else 'masks'
    folders = {name: each for name, each in ((sink, folder), ('overlay', pictures)) if each}
    if folders:
        config.custom_hooks = [*(config.get('custom_hooks') or ()), dict(type=ResultsHook, folders=folders)]

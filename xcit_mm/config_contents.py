"""Look things up in a config: type names, test data, the MM project and the task."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS, DefaultScope
from torch import nn

from .errors import InputError

# Project and base class of the models for each task; neither project is imported to check them.
BASES = dict(segmentor=('mmseg', 'BaseSegmentor'), detector=('mmdet', 'BaseDetector'))


def type_name(kind: object) -> str:
    """Return the class name of a type, given as a bare name, a name with its scope or module, or the class itself."""
    return getattr(kind, '__name__', str(kind)).rpartition('.')[2]


def default_scope(config: Config) -> str:
    """Return the name of the MM project whose registries a config's types are looked up in first."""
    return config.get('default_scope') or 'mmseg'


@contextmanager
def use_default_scope(config: Config) -> Iterator[None]:
    """Make a config's default scope the current one inside a ``with`` block."""
    current = DefaultScope.get_current_instance()
    if current is not None and current.scope_name == default_scope(config):
        yield  # MMEngine's switch is not thread-safe
    else:
        with DefaultScope.overwrite_default_scope(default_scope(config)):
            yield


def is_detector(config: Config) -> bool:
    """Return whether a config's model detects objects rather than segmenting images.

    Projects define their own default scopes, so the scope's name alone is not enough. The packing step of a test
    pipeline tells; without a test pipeline, or with a custom packing step, the model's class is looked up. If the class
    cannot be found, the model counts as a detector if the scope is mmdet, which may not be installed.
    """
    packed = {name for dataset in iterate_test_data(config) for name in _step_names(dataset.pipeline)}
    if packed & {'PackDetInputs', 'PackSegInputs'}:
        return 'PackDetInputs' in packed
    model = _model_class(config)
    if model is None:
        return default_scope(config) == 'mmdet'
    return _derives_from(model, *BASES['detector'])


def require_task(model: nn.Module, task: str) -> None:
    """Raise ``InputError`` if a model is known to be for another task than ``task``, a key of ``BASES``."""
    for other, base in BASES.items():
        if other != task and _derives_from(type(model), *base):
            raise InputError(f'cannot use a {type(model).__name__} as a {task}: it is a {other}; '
                             f'call inference_{other}')


def _derives_from(kind: type, project: str, name: str) -> bool:
    return any(base.__name__ == name and base.__module__.startswith(f'{project}.') for base in kind.__mro__)


def _step_names(steps: Sequence) -> Iterator[str]:
    """Yield the names of a pipeline's transforms, including those inside others such as TestTimeAug."""
    for step in steps:
        if isinstance(step, (list, tuple)):  # one of several pipelines
            yield from _step_names(step)
        else:
            yield type_name(step['type'])
            yield from _step_names(step.get('transforms') or ())


def _model_class(config: Config) -> type | None:
    kind = (config.get('model') or {}).get('type')
    if kind is None or isinstance(kind, type):
        return kind
    try:
        with MODELS.switch_scope_and_registry(default_scope(config)) as registry:
            found = registry.get(kind)
    except ImportError:  # the project, or something that it needs, is not installed
        return None
    return found if isinstance(found, type) else None


def find_test_dataset(config: Config) -> ConfigDict:
    """Return the config of the test data set, or of the first one inside wrappers such as ConcatDataset.

    Raises:
        InputError: the config has no test data with a pipeline.
    """
    dataset = next(iterate_test_data(config), None)
    if dataset is None:
        raise InputError('the config has no test_dataloader.dataset.pipeline, which is needed to prepare an image; '
                         'add test data, or inherit one of our configs')
    return dataset


def iterate_test_data(config: Config) -> Iterator[ConfigDict]:
    """Yield the config of each test data set that has a pipeline, including those inside wrappers."""
    def walk(dataset: ConfigDict) -> Iterator[ConfigDict]:
        inner = [dataset['dataset']] if 'dataset' in dataset else dataset.get('datasets') or []
        if not inner and 'pipeline' in dataset:
            yield dataset
        for each in inner:
            yield from walk(each)

    return walk((config.get('test_dataloader') or {}).get('dataset') or ConfigDict())

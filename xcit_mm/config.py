"""Finding and reading configs, and finding out early that what they need is missing."""
from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.config import Config

from .errors import InputError
from .installation import detection_hint, installed_folder, require_detection


def load_config(path: str | Path, options: dict | None = None, work_dir: str | None = None) -> Config:
    """Read a config file and apply what the command line overrides.

    Args:
        path: config file.
        options: dotted keys and values, as ``--cfg-options`` gives them. ``data_root`` moves every
            path of the config that began with the old ``data_root``.
        work_dir: default: the config's own, else ``work_dirs/<config name>``.

    Raises:
        InputError: there is no such file, it is no config, an option does not fit it, or it is for a
            detector and mmdet cannot run here.
    """
    if not Path(path).is_file():
        raise InputError(f'no config file {path}')
    options = dict(options or {})
    try:
        config = Config.fromfile(path)
        _refuse_misspelt(config, options)
        old_root, new_root = config.get('data_root'), options.get('data_root')
        if new_root:
            before = config.to_dict()
            moved = _relocate(before, old_root, new_root) if old_root else before
            if {**moved, 'data_root': None} == {**before, 'data_root': None} and new_root != old_root:
                raise InputError(f'data_root={new_root} moves nothing: no path of {path} begins with its data_root '
                                 f'({old_root}); set the data_root of each data set')
            config.merge_from_dict(moved)
        config.merge_from_dict(options)  # an explicit path wins
    except InputError:
        raise
    except Exception as error:  # a config is a program: it can raise anything
        reason = next(iter(str(error).splitlines()), '')
        raise InputError(f'cannot read the config {path}: {type(error).__name__}: {reason}') from error
    if config.get('default_scope') == 'mmdet':
        require_detection()
    config.work_dir = work_dir or config.get('work_dir') or str(Path('work_dirs') / Path(path).stem)
    return config


def _refuse_misspelt(config: Config, options: dict) -> None:
    """Refuse a setting that nothing reads, where the config has one that is nearly called so."""
    for name in {option.split('.')[0] for option in options} - set(config):
        nearest = difflib.get_close_matches(name, config, 1, cutoff=0.85)
        if nearest:
            raise InputError(f'the config has no setting {name!r}; did you mean {nearest[0]!r}?')


def config_path(name: str, package: str = 'xcit_mm') -> str:
    """The path of a config of this package or of another one of the family, for a config to inherit.

    It is found in a checkout as in a wheel. MMEngine evaluates ``_base_`` before the rest of a config, and
    resolves ``package::name`` for the packages of OpenMMLab only, so a config says
    ``_base_ = __import__('xcit_mm').config_path('xcit_upernet_ade20k.py')``.

    Args:
        name: relative to the package's ``configs/``.
        package: which package's, as it is imported.

    Raises:
        InputError: there is no such package, or it has no such config.
    """
    try:
        path = installed_folder(package, 'configs') / name
    except InputError as error:
        hint = f'; {detection_hint()}' if package == 'mmdet' else ''
        raise InputError(f'{error}, to which the config {name} belongs{hint}') from None
    if not path.is_file():
        raise InputError(f'{package} has no config {name} in {path.parent}')
    return str(path)


def config_dict(name: str, package: str = 'xcit_mm') -> dict:
    """A config that ``config_path`` finds, merged with its bases, for a pure-Python config to inherit.

    Such a config says ``globals().update(__import__('xcit_mm').config_dict('xcit_upernet_ade20k.py'))``,
    after which ``model`` and the others are plain variables: MMEngine's ``read_base`` cannot read configs
    of the other style.

    Raises:
        InputError: as ``config_path``.
    """
    return Config.fromfile(config_path(name, package)).to_dict()


def require_data(config: Config, splits: tuple[str, ...]) -> None:
    """Check that the folders and annotation files of some data loaders exist.

    Args:
        config: as ``load_config`` returns it.
        splits: of ``'train'``, ``'val'`` and ``'test'``.

    Raises:
        InputError: a path is missing; the message names it and the command that prepares it.
    """
    for split in splits:
        for path in _dataset_paths(config.get(f'{split}_dataloader') or {}):
            if not path.exists():
                root = config.get('data_root') or ''
                preparation = (config.get('data_preparation') or '').replace('{data_root}', root)
                preparation = preparation.replace('{tools}', str(_shown(installed_folder('xcit_mm', 'tools'))))
                is_there = bool(root) and Path(root).exists()  # then it is a data set of the user's, or half of one
                hint = (f'prepare it with: {preparation}' if preparation and not is_there else
                        'complete the folder, or set the data_root of the config')
                raise InputError(f'no {split} data in {path.absolute()}; {hint} '
                                 '(or point to them: --cfg-options data_root=FOLDER)')


def _shown(path: Path) -> Path:
    """A path as one would type it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _dataset_paths(node: object) -> Iterator[Path]:
    """The local paths of every data set in a (nested) data loader config."""
    if isinstance(node, dict):
        root, prefixes = node.get('data_root') or '', node.get('data_prefix') or {}
        names = [prefixes] if isinstance(prefixes, str) else list(prefixes.values())
        for name in [*names, node.get('ann_file')]:
            if name and '://' not in root + name:
                yield Path(root, name)
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for child in node:
            yield from _dataset_paths(child)


def _relocate(node: Any, old_root: str, new_root: str) -> Any:
    if isinstance(node, dict):
        return {key: _relocate(value, old_root, new_root) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return type(node)(_relocate(value, old_root, new_root) for value in node)
    if isinstance(node, str) and (node == old_root or node.startswith(old_root.rstrip('/') + '/')):
        return new_root.rstrip('/') + node[len(old_root.rstrip('/')):]
    return node

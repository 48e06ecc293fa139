"""Find and read configs, and check that their data exist before any work begins."""
from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.config import Config

from .config_contents import is_detector, type_name
from .errors import InputError, MissingInputError
from .installation import detection_hint, installed_folder, require_detection


def load_config(path: str | Path, options: dict | None = None, work_dir: str | None = None) -> Config:
    """Read a config file and apply command-line overrides.

    Args:
        path: config file.
        options: dotted keys and their values, as in ``--cfg-options``. A new ``data_root`` replaces the old one at
            the start of every path in the config.
        work_dir: work directory (default: the config's, or else ``work_dirs/<config name>``).

    Raises:
        InputError: the file does not exist or is not a config, an option does not apply to it, or the config
            is for a detector and mmdet cannot be imported.
    """
    if not Path(path).is_file():
        raise MissingInputError(f'no config file {path}')
    options = dict(options or {})
    try:
        config = Config.fromfile(path)
        _refuse_misspelt(config, options)
        old_root, new_root = config.get('data_root'), options.get('data_root')
        if new_root:
            before = config.to_dict()
            moved = _relocate(before, old_root, new_root) if old_root else before
            if {**moved, 'data_root': None} == {**before, 'data_root': None} and new_root != old_root:
                raise InputError(f'cannot apply data_root={new_root}: no path in {path} starts with its data_root '
                                 f'({old_root}); set the data_root of each data set')
            config.merge_from_dict(moved)
        config.merge_from_dict(options)  # explicit paths win
    except InputError:
        raise
    except Exception as error:  # a config is a program, so it can raise anything
        reason = next(iter(str(error).splitlines()), '')
        raise InputError(f'cannot read the config {path}: {type(error).__name__}: {reason}') from error
    _refuse_pretrained(config.get('model'), 'model')
    if is_detector(config):
        require_detection()
    config.work_dir = work_dir or config.get('work_dir') or str(Path('work_dirs') / Path(path).stem)
    return config


def _refuse_misspelt(config: Config, options: dict) -> None:
    """Reject an unknown setting if the config has one with a similar name."""
    for name in {option.split('.')[0] for option in options} - set(config):
        nearest = difflib.get_close_matches(name, config, 1, cutoff=0.85)
        if nearest:
            raise InputError(f'the config has no setting {name!r}; did you mean {nearest[0]!r}?')


def _refuse_pretrained(node: object, path: str) -> None:
    """Reject the ``pretrained`` setting of MM 0.x and 2.x next to or inside an XCiT, where it fails or does nothing."""
    if not isinstance(node, dict):
        return
    for backbone, place in ((node, path), (node.get('backbone'), f'{path}.backbone')):
        kind = backbone.get('type') if isinstance(backbone, dict) else None
        if node.get('pretrained') and type_name(kind) == 'XCiT':
            raise InputError(f'the config sets {path}.pretrained, which XCiT does not read; set '
                             f"{place}.init_cfg=dict(type='Pretrained', checkpoint=FILE), or on the command line "
                             f'{place}.init_cfg.type=Pretrained {place}.init_cfg.checkpoint=FILE')
    for name, value in node.items():
        _refuse_pretrained(value, f'{path}.{name}')


def config_path(name: str, package: str = 'xcit_mm') -> str:
    """Return the path of a config in this or another MM package, so that a config can inherit from it.

    This works both in a checkout and in an installed wheel. MMEngine evaluates ``_base_`` before the rest of a config
    and resolves ``package::name`` only for OpenMMLab's own packages, so write
    ``_base_ = __import__('xcit_mm').config_path('xcit_upernet_ade20k.py')``.

    Args:
        name: path relative to the package's ``configs/``.
        package: import name of the package.

    Raises:
        InputError: the package is not installed or has no such config.
    """
    try:
        path = installed_folder(package, 'configs') / name
    except InputError as error:
        hint = f'; {detection_hint()}' if package == 'mmdet' else ''
        raise InputError(f'cannot find the config {name}: {error}{hint}') from None
    if not path.is_file():
        raise MissingInputError(f'cannot find the config {name}: {package} has no such file in {path.parent}')
    return str(path)


def config_dict(name: str, package: str = 'xcit_mm') -> dict:
    """Return a config merged with its bases, so that a pure-Python config can inherit from it.

    Write ``globals().update(__import__('xcit_mm').config_dict('xcit_upernet_ade20k.py'))`` in such a config; ``model``
    and all other settings are then plain variables. MMEngine's ``read_base`` cannot read text-style configs.

    Raises:
        InputError: see ``config_path``.
    """
    return Config.fromfile(config_path(name, package)).to_dict()


def require_data(config: Config, splits: tuple[str, ...]) -> None:
    """Check that the folders and annotation files read by the data loaders exist.

    Args:
        config: a config from ``load_config``.
        splits: any of ``'train'``, ``'val'`` and ``'test'``.

    Raises:
        InputError: a path does not exist; the message names it and the command that prepares the data.
    """
    for split in splits:
        for path in _dataset_paths(config.get(f'{split}_dataloader') or {}):
            if not path.exists():
                root = config.get('data_root') or ''
                preparation = (config.get('data_preparation') or '').replace('{data_root}', root)
                preparation = preparation.replace('{tools}', str(_shortest(installed_folder('xcit_mm', 'tools'))))
                root_exists = bool(root) and Path(root).exists()  # the user's own data set, or an incomplete one
                hint = (f'run {preparation} or' if preparation and not root_exists else 'complete the folder or')
                raise MissingInputError(f'cannot find {split} data: {path.absolute()} does not exist; {hint} '
                                        'pass --cfg-options data_root=FOLDER')


def _shortest(path: Path) -> Path:
    """Return a path, relative if it is inside the current directory."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _dataset_paths(node: object) -> Iterator[Path]:
    """Yield the local paths of every data set in a (nested) data-loader config."""
    if isinstance(node, dict):
        root, prefixes = node.get('data_root') or '', node.get('data_prefix') or {}
        names = [prefixes] if isinstance(prefixes, str) else list(prefixes.values())
        pairs = [name for pair in node.get('pairs') or () for name in pair]  # rasters and their labels
        for name in [*names, *pairs, node.get('ann_file')]:
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

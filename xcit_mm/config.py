"""Finding and reading configs, and finding out early that their data are missing."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mmengine.config import Config

from .errors import InputError


def load_config(path: str | Path, options: dict | None = None, work_dir: str | None = None) -> Config:
    """Read a config file and apply what the command line overrides.

    Args:
        path: config file.
        options: dotted keys and values, as ``--cfg-options`` gives them. ``data_root`` moves every
            path of the config that began with the old ``data_root``.
        work_dir: default: the config's own, else ``work_dirs/<config name>``.

    Raises:
        InputError: there is no such file, it is no config, or an option does not fit it.
    """
    if not Path(path).is_file():
        raise InputError(f'no config file {path}')
    options = dict(options or {})
    try:
        config = Config.fromfile(path)
        old_root, new_root = config.get('data_root'), options.get('data_root')
        if old_root and new_root:
            config.merge_from_dict(_relocate(config.to_dict(), old_root, new_root))
        config.merge_from_dict(options)  # an explicit path wins
    except Exception as error:  # a config is a program: it can raise anything
        reason = next(iter(str(error).splitlines()), '')
        raise InputError(f'cannot read the config {path}: {type(error).__name__}: {reason}') from error
    config.work_dir = work_dir or config.get('work_dir') or str(Path('work_dirs') / Path(path).stem)
    return config


def config_path(name: str) -> str:
    """The path of a config of this package, from a checkout as from a wheel, for a project to inherit.

    MMEngine evaluates ``_base_`` before the rest of a config, and knows the packages of OpenMMLab only,
    so a config says ``_base_ = __import__('xcit_mm').config_path('xcit_upernet_ade20k.py')``.

    Args:
        name: relative to ``configs/``.

    Raises:
        InputError: there is no such config.
    """
    package = Path(__file__).parent
    installed = package / '.mim/configs'
    path = (installed if installed.is_dir() else package.parent / 'configs') / name
    if not path.is_file():
        raise InputError(f'xcit_mm has no config {name} in {path.parent}')
    return str(path)


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
                preparation = (config.get('data_preparation') or '').replace(
                    '{data_root}', config.get('data_root') or '')
                hint = f'prepare it with: {preparation}' if preparation else 'set the data_root of the config'
                raise InputError(f'no {split} data in {path.absolute()}; {hint} '
                                 '(or point to them: --cfg-options data_root=FOLDER)')


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


def _relocate(node: object, old_root: str, new_root: str) -> object:
    if isinstance(node, dict):
        return {key: _relocate(value, old_root, new_root) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return type(node)(_relocate(value, old_root, new_root) for value in node)
    if isinstance(node, str) and (node == old_root or node.startswith(old_root.rstrip('/') + '/')):
        return new_root.rstrip('/') + node[len(old_root.rstrip('/')):]
    return node

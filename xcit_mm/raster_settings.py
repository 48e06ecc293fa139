"""The few settings of a config that trains on rasters, passed on to all the parts that need them."""
from __future__ import annotations

from typing import Any

from .errors import InputError

DATA = ('data_root', 'bands', 'mean', 'window', 'class_attribute', 'background')  # arguments of RasterDataset


def apply_raster_settings(config: dict[str, Any]) -> None:
    """Pass the settings of a config for rasters on to its data sets, preprocessor, backbone and heads.

    Call it at the end of a config that inherits ``xcit_upernet_raster.py``:
    ``__import__('xcit_mm').apply_raster_settings(globals())``. It uses these variables; for those that are missing,
    the inherited config applies.

    - ``train_pairs``, ``val_pairs``, ``test_pairs`` (default: ``val_pairs``), ``data_root``, ``bands``, ``window``,
      ``class_attribute`` and ``background``: see ``RasterDataset``;
    - ``classes``, and ``palette``, their colours (RGB; default: random colours);
    - ``mean`` and ``std``: one value for each band, in the units of the files.

    Args:
        config: the config's variables, changed in place.

    Raises:
        InputError: the numbers of bands, means and deviations differ.
    """
    given = {name: config[name] for name in DATA if name in config}
    counts = {name: len(config[name]) for name in ('bands', 'mean', 'std') if name in config}
    if len(set(counts.values())) > 1 or counts.get('bands', 3) != 3 and len(counts) < 3:
        raise InputError('a config for rasters needs a mean and a std for each band, but has '
                         f'{", ".join(f"{count} values in {name}" for name, count in counts.items())}')
    meta = dict(classes=config['classes'], palette=config.get('palette', [])) if 'classes' in config else {}
    pairs = {f'{split}_dataloader': config.get(f'{split}_pairs', config.get('val_pairs') if split == 'test' else None)
             for split in ('train', 'val', 'test')}
    settings: dict[str, Any] = {
        loader: dict(dataset=given | (dict(metainfo=meta) if meta else {}) | (dict(pairs=files) if files else {}))
        for loader, files in pairs.items()}
    head = dict(num_classes=len(meta['classes'])) if 'classes' in meta else {}
    preprocessor = {key: config[name] for name, key in (('mean', 'mean'), ('std', 'std'), ('window', 'size'))
                    if name in config}
    backbone = dict(in_channels=next(iter(counts.values()))) if counts else {}
    settings['model'] = dict(data_preprocessor=preprocessor, backbone=backbone, decode_head=head, auxiliary_head=head)
    for name, value in settings.items():
        config[name] = _merge(config.get(name) or {}, value)


def _merge(old: dict, new: dict) -> dict:
    """Return ``old`` with the values of ``new``, key by key; a head that is None or a list stays as it is."""
    merged = {key: _merge(old.get(key, {}), value) if isinstance(value, dict) and isinstance(old.get(key, {}), dict)
              else old[key] if isinstance(value, dict) else value for key, value in new.items()}
    return {**old, **merged}

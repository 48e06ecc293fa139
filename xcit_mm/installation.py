"""Locate the folders of installed packages and check that detection can run."""
from __future__ import annotations

import importlib
from importlib.util import find_spec
from pathlib import Path

from .errors import InputError


def installed_folder(package: str, name: str) -> Path:
    """Locate a folder of an MM package: inside the package if installed from a wheel, next to it in a checkout.

    Args:
        package: import name; the package is not imported, because importing mmdet fails without compiled ops.
        name: ``'configs'`` or ``'tools'``.

    Raises:
        InputError: the package is not installed.
    """
    spec = find_spec(package)
    if spec is None or not spec.origin:
        raise InputError(f'package {package} is not installed')
    root = Path(spec.origin).parent
    installed = root / '.mim' / name
    return installed if installed.is_dir() else root.parent / name


def detection_hint() -> str:
    """Describe how to install the requirements for detection."""
    return ('in a checkout, run make setup-det; elsewhere, run python '
            f'{installed_folder("xcit_mm", "tools")}/install_ops.py and then install mmdet with pip')


def require_detection() -> None:
    """Check that mmdet and mmcv's compiled ops can be imported.

    Raises:
        InputError: one of them cannot be imported; the message gives the command to install it.
    """
    for module, name in (('mmcv._ext', "mmcv's compiled ops"), ('mmdet', 'mmdet')):
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise InputError(f'cannot run detection: {name} cannot be imported ({str(error).splitlines()[0]}); '
                             f'{detection_hint()}') from None

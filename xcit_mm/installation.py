"""What is installed: the folders of a package, and what detection needs."""
from __future__ import annotations

import importlib
from importlib.util import find_spec
from pathlib import Path

from .errors import InputError


def installed_folder(package: str, name: str) -> Path:
    """A folder of a package of the MM family: inside it in a wheel, beside it in a checkout.

    Args:
        package: as it is imported; it is not imported here: mmdet cannot be where compiled ops are missing.
        name: ``'configs'`` or ``'tools'``.

    Raises:
        InputError: there is no such package.
    """
    spec = find_spec(package)
    if spec is None or not spec.origin:
        raise InputError(f'no package {package}')
    root = Path(spec.origin).parent
    installed = root / '.mim' / name
    return installed if installed.is_dir() else root.parent / name


def detection_hint() -> str:
    """Say how to install what detection needs."""
    return ('in a checkout, run make setup-det; elsewhere, run python '
            f'{installed_folder("xcit_mm", "tools")}/install_ops.py and then install mmdet with pip')


def require_detection() -> None:
    """Check that mmdet and mmcv's compiled ops can be imported.

    Raises:
        InputError: they cannot; the message names the command that installs them.
    """
    for module, what in (('mmcv._ext', "mmcv's compiled ops"), ('mmdet', 'mmdet')):
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise InputError(f'detection needs {what}, but {str(error).splitlines()[0]}: {detection_hint()}') from None

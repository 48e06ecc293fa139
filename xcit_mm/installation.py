"""Where the configs and the tools of a package are."""
from __future__ import annotations

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

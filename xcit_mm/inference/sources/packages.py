"""Packages that only some files need."""
from __future__ import annotations

from importlib.util import find_spec

from ...errors import InputError

EXTRAS = dict(rasterio='geo', pyogrio='geo', shapely='geo', tifffile='tiff', openslide='slides', zarr='zarr')


def require_package(package: str, purpose: str) -> None:
    """Raise ``InputError`` unless a package is installed; the message names the extra that contains it.

    Args:
        package: a key of ``EXTRAS``.
        purpose: what needs the package, for the message.
    """
    if find_spec(package) is None:
        raise InputError(f"{purpose} needs {package}: pip install 'xcit_mm[{EXTRAS[package]}]'")

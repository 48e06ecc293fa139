"""Find all the files that an image consists of."""
from __future__ import annotations

from pathlib import Path

from ...errors import InputError
from .choose import choose_source
from .gdal import open_raster, quiet
from .raster import RasterFile
from .slide import SlideFile


def all_files(path: Path) -> list[Path]:
    """Return all files and folders that an image consists of, such as the sources of a VRT, or an ENVI header.

    Args:
        path: the file that is opened; the first one returned.
    """
    try:
        kind = choose_source(path)
        if kind is RasterFile:
            return list(dict.fromkeys([path, *_files_of_raster(path, {path})]))
    except InputError:  # reading the image will report this
        return [path]
    folder = path.with_suffix('')  # of a MIRAX slide
    return [path, folder] if kind is SlideFile and folder.is_dir() else [path]


def _files_of_raster(path: Path, known: set[Path]) -> list[Path]:
    with quiet(), open_raster(path) as file:
        files = [Path(name) for name in file.files if Path(name).exists()]
    inner = [each for each in files if each.suffix.lower() == '.vrt' and each not in known]
    return files + [deeper for each in inner for deeper in _files_of_raster(each, known | set(inner))]

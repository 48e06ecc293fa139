"""Describe and unpack data set zip files."""
from __future__ import annotations

import shutil
import stat
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from zipfile import BadZipFile, ZipFile

from rich.progress import track

from ..errors import InputError


@dataclass(frozen=True)
class Archive:
    """A zip file and where its parts go.

    Attributes:
        name: file name.
        url: download URL, or None if the download requires a login.
        checksum: in pooch's notation (``md5:…``), or None if the publisher does not provide one.
        moves: maps name prefixes in the archive to prefixes inside the data set's folder. Files with other prefixes
            are left out.
        convert: function to use instead of ``moves``; it reads the open zip file and writes the data set to a folder.
    """
    name: str
    url: str | None
    checksum: str | None = None
    moves: dict[str, str] = field(default_factory=dict)
    convert: Callable[[ZipFile, Path], None] | None = None


def downloaded_mark(path: Path) -> Path:
    """Return the path of the marker file that shows that we downloaded an archive and may remove it."""
    return path.with_name(f'.{path.name}.downloaded')


def unpack(archive: Archive, path: Path, folder: Path) -> None:
    """Unpack what a data set needs from the archive at ``path`` into ``folder``, and check the CRCs.

    Raises:
        InputError: the file is damaged, or an entry is a link or points outside the folder, in which case nothing is
            written.
        OSError: a file cannot be written.
    """
    try:
        with ZipFile(path) as file:
            _require_safe_names(file)
            if archive.convert:
                archive.convert(file, folder)
            else:
                _move(file, archive, folder)
    except (BadZipFile, EOFError, zlib.error, RuntimeError) as error:  # RuntimeError: the archive is encrypted
        raise InputError(f'cannot unpack {path}: it is damaged ({error}); remove it and run again') from None


def _require_safe_names(file: ZipFile) -> None:
    for member in file.infolist():
        name = PurePosixPath(member.filename)
        if name.is_absolute() or '..' in name.parts or stat.S_ISLNK(member.external_attr >> 16):
            raise _unsafe_name(file, member.filename)


def _unsafe_name(file: ZipFile, name: str) -> InputError:
    return InputError(f'cannot unpack {file.filename}: its entry {name} is a link or points outside the folder; '
                      'remove the archive and download it from a source that you trust')


def _move(file: ZipFile, archive: Archive, folder: Path) -> None:
    targets = [(member, folder / (new + member.filename.removeprefix(old)))
               for member in file.infolist() if not member.is_dir()
               for old, new in archive.moves.items() if member.filename.startswith(old)]
    # A name can be absolute or empty once its prefix is removed.
    for member, target in targets:
        if not target.resolve().is_relative_to(folder.resolve()):
            raise _unsafe_name(file, member.filename)
    for member, target in track(targets, description=f'unpacking {archive.name}'):
        target.parent.mkdir(parents=True, exist_ok=True)
        with file.open(member) as source, target.open('wb') as written:
            shutil.copyfileobj(source, written)

"""The zip files that data sets come in, and unpacking them."""
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
    """A zip file, and what of it goes where.

    Attributes:
        name: file name.
        url: where it is, or None where only a login leads to it.
        checksum: as pooch writes it (``md5:…``), or None where its publisher names none.
        moves: how names in it begin, and what they begin with below the folder of the data set. Other
            files in it are left out.
        convert: writes the data set below a folder from the open zip file, in place of ``moves``.
    """
    name: str
    url: str | None
    checksum: str | None = None
    moves: dict[str, str] = field(default_factory=dict)
    convert: Callable[[ZipFile, Path], None] | None = None


def downloaded_mark(path: Path) -> Path:
    """The file that tells an archive that was downloaded, and may be removed, from one that the user has put there."""
    return path.with_name(f'.{path.name}.downloaded')


def unpack(archive: Archive, path: Path, folder: Path) -> None:
    """Write what a data set needs of the archive at ``path`` below ``folder``. CRCs are checked on the way.

    Raises:
        InputError: the file is damaged; or something in it is a link or would leave the folder, and nothing of it
            is written.
        OSError: a file cannot be written.
    """
    try:
        with ZipFile(path) as file:
            _refuse_what_leaves(file)
            if archive.convert:
                archive.convert(file, folder)
            else:
                _move(file, archive, folder)
    except (BadZipFile, EOFError, zlib.error, RuntimeError) as error:  # RuntimeError: it is encrypted
        raise InputError(f'{path} is damaged ({error}); remove it and run again') from None


def _refuse_what_leaves(file: ZipFile) -> None:
    for member in file.infolist():
        name = PurePosixPath(member.filename)
        if name.is_absolute() or '..' in name.parts or stat.S_ISLNK(member.external_attr >> 16):
            raise _leaving(file, member.filename)


def _leaving(file: ZipFile, name: str) -> InputError:
    return InputError(f'{file.filename} is not unpacked: {name} in it is a link or leaves the folder; remove it and '
                      'get it from a source that you trust')


def _move(file: ZipFile, archive: Archive, folder: Path) -> None:
    targets = [(member, folder / (new + member.filename.removeprefix(old)))
               for member in file.infolist() if not member.is_dir()
               for old, new in archive.moves.items() if member.filename.startswith(old)]
    # What is left of a name may be absolute, or be none.
    for member, target in targets:
        if not target.resolve().is_relative_to(folder.resolve()):
            raise _leaving(file, member.filename)
    for member, target in track(targets, description=f'unpacking {archive.name}'):
        target.parent.mkdir(parents=True, exist_ok=True)
        with file.open(member) as source, target.open('wb') as written:
            shutil.copyfileobj(source, written)

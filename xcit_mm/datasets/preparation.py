"""Preparing a data set of the catalogue: download, unpack, check; it appears only when all of it is there."""
from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import InputError
from ..files import complete_folder
from .archives import downloaded_mark, unpack
from .catalogue import DataSet
from .file_counts import first_difference


def prepare(dataset: DataSet, root: str | Path, keep_archives: bool = False) -> bool:
    """Make ``root`` a prepared data set, unless it is one; what an interrupted run downloaded is used.

    Archives are gathered in the folder ``ROOT.archives``, and those that were downloaded are removed in the end.

    Args:
        keep_archives: leave them there.

    Returns:
        Whether anything had to be unpacked or made.

    Raises:
        InputError: something else is in ``root``, an archive cannot be had or is damaged, there is no room, or a
            package is missing.
    """
    root = Path(root).resolve()
    try:
        if dataset.make:
            written = dataset.make(root)
        elif root.exists() and not (root.is_dir() and not os.listdir(root)):
            written = False
        else:
            return _assemble(dataset, root, keep_archives)
        if dataset.complete:
            dataset.complete(root)
    except ModuleNotFoundError as error:
        raise InputError(f"preparing {root} needs {error.name}: pip install 'xcit_mm[data,digits]'") from None
    except OSError as error:
        raise InputError(f'cannot prepare {root}: {error.strerror or error}') from None
    difference = first_difference(root, dataset.layout)
    if difference:
        raise InputError(f'{root} is there, but {difference}; complete it (from {dataset.page}), remove it, or '
                         'choose another folder with --root')
    return written


def _assemble(dataset: DataSet, root: Path, keep_archives: bool) -> bool:
    if root.is_mount():
        raise InputError(f'{root} is a mount point, which cannot be replaced: choose a folder in it with --root')
    archives = root.with_name(f'{root.name}.archives')
    archives.mkdir(parents=True, exist_ok=True)
    print(f'{dataset.page}\n{dataset.licence}')
    with _alone(archives), complete_folder(root) as folder:  # first, for it clears what a killed run left
        _fetch(dataset, archives)
        for archive in dataset.archives:
            unpack(archive, archives / archive.name, folder)
        if dataset.complete:
            dataset.complete(folder)
        difference = first_difference(folder, dataset.layout)
        if difference:
            raise InputError(f'{archives} does not hold the data set that is known: {difference}')
    for archive in dataset.archives:
        mark = downloaded_mark(archives / archive.name)
        if mark.exists() and not keep_archives:
            (archives / archive.name).unlink()
        mark.unlink(missing_ok=True)
    with suppress(OSError):  # not empty
        archives.rmdir()
    return True


@contextmanager
def _alone(archives: Path) -> Iterator[None]:
    """Keep a second run out, which would remove what the first one unpacks."""
    lock = archives / '.lock'
    try:
        with FileLock(lock, timeout=0):
            yield
            lock.unlink()
    except Timeout:
        raise InputError(f'another run is at work in {archives}: wait until it is done') from None


def _fetch(dataset: DataSet, folder: Path) -> None:
    by_hand = [archive.name for archive in dataset.archives
               if archive.url is None and not (folder / archive.name).is_file()]
    if by_hand:
        raise InputError(f'{" and ".join(by_hand)}: log in at {dataset.page}, download to {folder} and run again')
    from .download import download, require_space  # of the extra `data`

    require_space(dataset.archives, folder)
    for archive in dataset.archives:
        if archive.url:
            download(archive, folder)

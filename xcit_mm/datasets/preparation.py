"""Prepare a data set from the catalogue: download, unpack and check it. The folder appears only once it is complete."""
from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import InputError, file_error
from ..files import complete_folder
from .archives import downloaded_mark, unpack
from .catalogue import DataSet
from .file_counts import first_difference


def prepare(dataset: DataSet, root: str | Path, keep_archives: bool = False) -> bool:
    """Prepare a data set in ``root`` unless it is there already; resume downloads from an interrupted run.

    Archives go in the folder ``ROOT.archives``; the ones that this function downloads are removed at the end.

    Args:
        dataset: the data set's catalogue entry.
        root: folder to create.
        keep_archives: keep downloaded archives.

    Returns:
        True if anything was unpacked or generated, False if the data set already existed.

    Raises:
        InputError: ``root`` holds something else, an archive is unavailable or damaged, the disk is full, or a package
            is missing.
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
        raise InputError(f'cannot prepare {root}: {error.name} is missing; '
                         "run pip install 'xcit_mm[data,digits]'") from None
    except InputError:
        raise
    except OSError as error:
        raise file_error(f'cannot prepare {root}: {error.strerror or error}', error) from None
    difference = first_difference(root, dataset.layout)
    if difference:
        raise InputError(f'cannot use {root}: it exists, but {difference}; complete it (from {dataset.page}), '
                         'remove it, or choose another folder with --root')
    return written


def _assemble(dataset: DataSet, root: Path, keep_archives: bool) -> bool:
    if root.is_mount():
        raise InputError(f'cannot replace {root}: it is a mount point; choose a folder in it with --root')
    archives = root.with_name(f'{root.name}.archives')
    archives.mkdir(parents=True, exist_ok=True)
    print(f'{dataset.page}\n{dataset.licence}')
    with _exclusive(archives), complete_folder(root) as folder:  # first clears whatever a killed run left behind
        _fetch(dataset, archives)
        for archive in dataset.archives:
            unpack(archive, archives / archive.name, folder)
        if dataset.complete:
            dataset.complete(folder)
        difference = first_difference(folder, dataset.layout)
        if difference:
            raise InputError(f'cannot use the archives in {archives}: {difference}; '
                             'replace them with the published ones')
    for archive in dataset.archives:
        mark = downloaded_mark(archives / archive.name)
        if mark.exists() and not keep_archives:
            (archives / archive.name).unlink()
        mark.unlink(missing_ok=True)
    with suppress(OSError):  # not empty
        archives.rmdir()
    return True


@contextmanager
def _exclusive(archives: Path) -> Iterator[None]:
    """Prevent concurrent runs, because a second run would remove the files that the first is unpacking."""
    lock = archives / '.lock'
    try:
        with FileLock(lock, timeout=0):
            yield
            lock.unlink()
    except Timeout:
        raise InputError(f'cannot use {archives}: another run is using it; wait until that run ends') from None


def _fetch(dataset: DataSet, folder: Path) -> None:
    manual = [archive.name for archive in dataset.archives
              if archive.url is None and not (folder / archive.name).is_file()]
    if manual:
        raise InputError(f'cannot download {" and ".join(manual)}: the publisher requires a login; '
                         f'log in at {dataset.page}, download to {folder} and run again')
    from .download import download, require_space  # needs the packages of our extra `data`

    require_space(dataset.archives, folder)
    for archive in dataset.archives:
        if archive.url:
            download(archive, folder)

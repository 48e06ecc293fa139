"""Downloading archives: the room that they take, their checksums, and what can go wrong in one line."""
from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import pooch
import requests

from ..errors import InputError
from .archives import Archive, downloaded_mark
from .resuming import AS_IT_IS, TIMEOUT, ResumingDownloader


def download(archive: Archive, folder: Path) -> Path:
    """Download an archive to ``folder`` unless it is there already, with the right checksum.

    Raises:
        InputError: it cannot be downloaded or written, or is another file than the one that is known.
    """
    pooch.get_logger().setLevel(logging.WARNING)
    path = folder / archive.name
    was_there = path.exists()
    if was_there and not downloaded_mark(path).exists() and not pooch.hashes.hash_matches(path, archive.checksum):
        raise InputError(f'{path} is not the file that is known: its checksum is not {archive.checksum}; remove it to '
                         'have it downloaded')
    if archive.checksum is None:
        print(f'{archive.name}: its publisher names no checksum; the CRCs of the zip are checked when it is unpacked')
    try:
        pooch.retrieve(archive.url, archive.checksum, fname=archive.name, path=folder,
                       downloader=ResumingDownloader(_partial(path)))
    except requests.RequestException as error:
        raise _not_downloaded(archive, path, error) from None
    except ValueError:  # pooch's, which has removed the file
        raise InputError(f'{archive.url} is not the file that is known: its checksum is not {archive.checksum}; it was '
                         'removed. Run again; if that does not help, the file on the server has changed') from None
    except OSError as error:
        raise InputError(f'cannot write {path}: {error.strerror or error}; what is there stays, run again '
                         'to go on') from None
    if not was_there:
        downloaded_mark(path).touch()
    return path


def require_space(archives: Sequence[Archive], folder: Path) -> None:
    """Check that there is room for what is missing of some archives, and for what they hold.

    What they hold is taken to be as large as they are: images are compressed already.

    Raises:
        InputError: there is not enough, or an archive is not on its server.
    """
    missing = unpacked = 0
    for archive in archives:
        path = folder / archive.name
        if path.exists():
            unpacked += path.stat().st_size
            continue
        size = _size(archive, path)
        missing += max(size - (_partial(path).stat().st_size if _partial(path).exists() else 0), 0)
        unpacked += size
    free = shutil.disk_usage(folder).free
    said = (f'{missing / 1e9:.2f} GB to download and about {unpacked / 1e9:.2f} GB to unpack in {folder.parent}, '
            f'where {free / 1e9:.2f} GB are free')
    if missing + unpacked > free:
        raise InputError(f'{said}: make room, or choose another folder with --root')
    print(said)


def _size(archive: Archive, path: Path) -> int:
    """Bytes, or 0 where the server does not say."""
    assert archive.url is not None  # what is got by hand is there
    try:
        response = requests.head(archive.url, headers=AS_IT_IS, timeout=TIMEOUT, allow_redirects=True)
        if response.status_code in (405, 501):  # it knows no HEAD
            return 0
        response.raise_for_status()
    except requests.RequestException as error:
        raise _not_downloaded(archive, path, error) from None
    return int(response.headers.get('Content-Length', 0))


def _not_downloaded(archive: Archive, path: Path, error: requests.RequestException) -> InputError:
    cause = error.args[0] if error.args else error
    cause = str(getattr(cause, 'reason', cause))  # urllib3 wraps it twice
    reason = re.sub(r"^HTTPS?Connection\(.*?\): ", '', cause).splitlines()[0]
    return InputError(f'cannot download {archive.url}: {reason}; run again to go on, or put the file there '
                      f'yourself: {path}')


def _partial(path: Path) -> Path:
    return path.with_name(f'{path.name}.partial')

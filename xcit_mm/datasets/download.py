"""Download archives: check free space and checksums, and report errors on one line."""
from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import pooch
import requests

from ..errors import InputError, file_error
from .archives import Archive, downloaded_mark
from .resuming import TIMEOUT, UNCOMPRESSED, ResumingDownloader


def download(archive: Archive, folder: Path) -> Path:
    """Download an archive to ``folder`` unless it is there already, and verify its checksum.

    Returns:
        The path of the archive.

    Raises:
        InputError: the archive cannot be downloaded or written, or its checksum differs.
    """
    pooch.get_logger().setLevel(logging.WARNING)
    path = folder / archive.name
    was_there = path.exists()
    if was_there and not downloaded_mark(path).exists() and not pooch.hashes.hash_matches(path, archive.checksum):
        raise InputError(f'cannot use {path}: its checksum differs from {archive.checksum}; '
                         'remove it to download it again')
    if archive.checksum is None:
        print(f'{archive.name}: the publisher gives no checksum; unpacking checks the CRCs of the zip file')
    try:
        pooch.retrieve(archive.url, archive.checksum, fname=archive.name, path=folder,
                       downloader=ResumingDownloader(_partial(path)))
    except requests.RequestException as error:
        raise _not_downloaded(archive, path, error) from None
    except ValueError:  # raised by pooch, which has removed the file
        raise InputError(f'cannot use the file from {archive.url}: its checksum differs from {archive.checksum}, so it '
                         'was removed; run again (if that does not help, the server has another version)') from None
    except OSError as error:
        raise file_error(f'cannot write {path}: {error.strerror or error}; the partial download is kept, so run again '
                         'to resume', error) from None
    if not was_there:
        downloaded_mark(path).touch()
    return path


def require_space(archives: Sequence[Archive], folder: Path) -> None:
    """Check that the disk has room to download the missing parts of archives and to unpack all of them.

    The unpacked contents are assumed to be as large as the archives, because images are already compressed.

    Raises:
        InputError: the disk does not have enough room, or a server does not have the archive.
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
    needs = f'{missing / 1e9:.2f} GB to download and about {unpacked / 1e9:.2f} GB to unpack'
    if missing + unpacked > free:
        raise InputError(f'cannot prepare the data set: it needs {needs}, but {folder.parent} has {free / 1e9:.2f} GB '
                         'free; make room or choose another folder with --root')
    print(f'{needs}; {folder.parent} has {free / 1e9:.2f} GB free')


def _size(archive: Archive, path: Path) -> int:
    """Ask the server for the size of an archive in bytes; return 0 if it does not report one."""
    assert archive.url is not None  # an archive without a URL already exists at this point
    try:
        response = requests.head(archive.url, headers=UNCOMPRESSED, timeout=TIMEOUT, allow_redirects=True)
        if response.status_code in (405, 501):  # the server does not support HEAD
            return 0
        response.raise_for_status()
    except requests.RequestException as error:
        raise _not_downloaded(archive, path, error) from None
    return int(response.headers.get('Content-Length', 0))


def _not_downloaded(archive: Archive, path: Path, error: requests.RequestException) -> InputError:
    cause = error.args[0] if error.args else error
    cause = str(getattr(cause, 'reason', cause))  # urllib3 wraps the reason twice
    reason = re.sub(r"^HTTPS?Connection\(.*?\): ", '', cause).splitlines()[0]
    return InputError(f'cannot download {archive.url}: {reason}; run again to resume, or save the file as {path} '
                      'yourself')


def _partial(path: Path) -> Path:
    return path.with_name(f'{path.name}.partial')

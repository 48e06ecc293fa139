"""Find a checkpoint file: a path, a ``file://`` URL, a folder from the Hugging Face hub, or a download."""
from __future__ import annotations

import hashlib
import logging
import re
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

import torch
from filelock import FileLock
from mmengine.logging import print_log

from ..errors import MissingInputError
from .containers import is_readable

SNAPSHOT = 'model.safetensors', 'pytorch_model.bin'  # weights in a folder saved by timm or cached from the hub
HASH = re.compile(r'-([a-f0-9]{8,64})\.[^.]+$')  # the start of the SHA-256, which torch hub and MM put in file names


def require(source: str | Path) -> None:
    """Check that a checkpoint file exists before starting any slow work. URLs are not checked.

    Raises:
        InputError: the file does not exist; the error is also a ``FileNotFoundError``.
    """
    if not is_url(source):
        locate(source)


def locate(source: str | Path) -> Path:
    """Return a checkpoint's local file, downloading it if ``source`` is an ``http(s)://`` URL.

    Args:
        source: path, which may start with ``~``; ``file://`` or ``http(s)://`` URL; or a folder with
            ``model.safetensors`` or ``pytorch_model.bin``, such as a snapshot of the Hugging Face hub.

    Raises:
        InputError: the file does not exist; the error is also a ``FileNotFoundError``.
        OSError: the download fails.
    """
    if is_url(source):
        return _download(str(source))
    text = str(source)
    if text.startswith('file:'):
        parts = urlsplit(text)
        text = unquote(('' if parts.netloc == 'localhost' else parts.netloc) + parts.path)
    try:
        path = Path(text).expanduser()
    except RuntimeError:  # no such user
        path = Path(text)
    if path.is_dir():
        found = [path / name for name in SNAPSHOT if (path / name).is_file()]
        if not found:
            raise MissingInputError(f'no checkpoint file in the folder {source}: expected {" or ".join(SNAPSHOT)}; '
                                    'give the path of a file')
        return next(filter(is_readable, found), found[0])
    if not path.is_file():
        raise MissingInputError(f'no checkpoint file {source}; give the path of a file or an http(s):// URL')
    return path


def is_url(source: str | Path) -> bool:
    """Return whether a source has to be downloaded."""
    return str(source).startswith(('http://', 'https://'))


def _download(url: str) -> Path:
    """Return the file for a URL in torch's hub cache; if several processes need it, only one downloads it."""
    folder = Path(torch.hub.get_dir(), 'checkpoints')
    folder.mkdir(parents=True, exist_ok=True)
    # Different URLs can share the last path component, which torch hub and MMEngine use as the file name.
    last = Path(urlsplit(url).path).name
    file = folder / f'{hashlib.sha256(url.encode()).hexdigest()[:8]}-{last}'
    if file.is_file():
        return file
    with FileLock(f'{file}.lock'):
        if not file.is_file():
            if _is_cached(folder / last, url):
                return folder / last
            print_log(f'downloading {url} to {file}', 'current')
            torch.hub.download_url_to_file(url, str(file))
    return file


def _is_cached(file: Path, url: str) -> bool:
    """Return whether torch hub or MMEngine has already downloaded this URL to this file.

    The file must match the hash prefix in its name or, if there is none, the size that the server reports. If the
    server cannot be reached, the file is accepted and a warning names it.
    """
    if not file.is_file():
        return False
    if match := HASH.search(file.name):
        return hashlib.sha256(file.read_bytes()).hexdigest().startswith(match[1])
    try:
        with urlopen(Request(url, method='HEAD'), timeout=10) as answer:
            same = answer.headers.get('Content-Length') == str(file.stat().st_size)
    except HTTPError:  # the download will report it
        return False
    except OSError as error:
        print_log(f'cannot reach {url} ({error}): using {file}, which another program downloaded under this name',
                  'current', logging.WARNING)
        return True
    if same:
        print_log(f'using {file} for {url}: it has the same name and size; remove it to download the URL again',
                  'current', logging.WARNING)
    return same

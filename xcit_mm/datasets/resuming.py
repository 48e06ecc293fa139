"""A downloader for pooch that goes on where an earlier run ended."""
from __future__ import annotations

import os
from pathlib import Path

import requests
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

TIMEOUT = 30  # seconds without a byte
CHUNK = 2**16  # bytes; a broken connection loses at most so many
AS_IT_IS = {'Accept-Encoding': 'identity'}  # so that lengths are those of the file


class ResumingDownloader:
    """What pooch calls to fetch a file: it goes on where an earlier call was cut off.

    pooch checks the checksum, and that a file is there completely or not at all, but its own downloader begins
    anew each time; other libraries that resume fetch a file in pieces, or bring an event loop and a second
    progress bar. HTTP needs little for it: ``Range`` asks for the rest, ``If-Range`` for all of it where the
    file has changed since, and a server that knows neither sends all of it. (While pooch computes the
    checksum, the file is no longer partial: an interruption then costs the download.)

    Args:
        partial: where to gather bytes; beside it, ``NAME.validator`` tells which version they are of.
    """

    def __init__(self, partial: Path) -> None:
        self.partial = partial
        self.validator = partial.with_name(f'{partial.name}.validator')

    def __call__(self, url: str, output_file: str, pooch: object) -> None:
        """Fetch ``url`` to ``output_file``, again and again as long as each attempt gets farther.

        Raises:
            requests.RequestException: the server refuses, or an attempt brought nothing new.
            OSError: the file cannot be written.
        """
        farthest = self._held()
        while True:
            try:
                self._receive(url)
                break
            except requests.HTTPError:
                raise
            except requests.RequestException:
                if self._held() <= farthest:
                    raise
                farthest = self._held()
        os.replace(self.partial, output_file)
        self.validator.unlink(missing_ok=True)

    def _held(self) -> int:
        return self.partial.stat().st_size if self.partial.exists() and self.validator.exists() else 0

    def _receive(self, url: str) -> None:
        held = self._held()
        rest = {'Range': f'bytes={held}-', 'If-Range': self.validator.read_text()} if held else {}
        with requests.get(url, headers=AS_IT_IS | rest, stream=True, timeout=TIMEOUT) as response:
            if response.status_code == 416 and held:  # nothing is missing, or all of it is another file
                self.validator.unlink()
                return self._receive(url)
            response.raise_for_status()
            goes_on = response.headers.get('Content-Range', '').startswith(f'bytes {held}-')
            held = held if goes_on else 0
            length = response.headers.get('Content-Length')
            total = None if length is None else held + int(length)
            if not goes_on:
                self._begin(response)
            with self.partial.open('ab' if goes_on else 'wb') as file, _progress() as progress:
                task = progress.add_task(self.partial.stem, total=total, completed=held)
                for chunk in response.iter_content(CHUNK):
                    file.write(chunk)
                    progress.advance(task, len(chunk))
        if total is not None and self.partial.stat().st_size != total:
            raise requests.ConnectionError('the server closed the connection before the end')

    def _begin(self, response: requests.Response) -> None:
        """Note the version that is received; a weak ETag does not promise the same bytes."""
        version = response.headers.get('ETag')
        if not version or version.startswith('W/'):
            version = response.headers.get('Last-Modified')
        self.validator.unlink(missing_ok=True)
        self.partial.unlink(missing_ok=True)  # before there is a validator, which would be of other bytes
        if version:
            self.validator.write_text(version)


def _progress() -> Progress:
    return Progress(TextColumn('{task.description}'), BarColumn(), DownloadColumn(), TransferSpeedColumn(),
                    TimeRemainingColumn())

"""A downloader for pooch that resumes interrupted downloads."""
from __future__ import annotations

import os
from pathlib import Path

import requests
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

TIMEOUT = 30  # seconds without receiving a byte
CHUNK = 2**16  # bytes; a broken connection loses at most one chunk
UNCOMPRESSED = {'Accept-Encoding': 'identity'}  # makes Content-Length the length of the file


class ResumingDownloader:
    """Downloader for pooch that picks up where an interrupted call left off. pooch verifies the checksum and never
    leaves a partial file under the final name, but its own downloader always starts over; other libraries that support
    resuming either split files into parts or bring in an event loop and a second progress bar. HTTP makes resuming
    simple: ``Range`` requests the rest, ``If-Range`` requests the whole file if it has changed, and a server that
    supports neither sends the whole file. (If the run is interrupted while pooch computes the checksum, the download is
    lost, because by then the file is no longer marked as partial.)

    Args:
        partial: file that collects the bytes; ``NAME.validator`` next to it records which version of the file
            they belong to.
    """

    def __init__(self, partial: Path) -> None:
        self.partial = partial
        self.validator = partial.with_name(f'{partial.name}.validator')

    def __call__(self, url: str, output_file: str, pooch: object) -> None:
        """Download ``url`` to ``output_file``, retrying as long as each attempt receives new bytes.

        Raises:
            requests.RequestException: the server refuses the request, or an attempt receives no new bytes.
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
        with requests.get(url, headers=UNCOMPRESSED | rest, stream=True, timeout=TIMEOUT) as response:
            if response.status_code == 416 and held:  # we have every byte already, or ours are of another version
                self.validator.unlink()
                return self._receive(url)
            response.raise_for_status()
            resumes = response.headers.get('Content-Range', '').startswith(f'bytes {held}-')
            held = held if resumes else 0
            length = response.headers.get('Content-Length')
            total = None if length is None else held + int(length)
            if not resumes:
                self._begin(response)
            with self.partial.open('ab' if resumes else 'wb') as file, _progress() as progress:
                task = progress.add_task(self.partial.stem, total=total, completed=held)
                for chunk in response.iter_content(CHUNK):
                    file.write(chunk)
                    progress.advance(task, len(chunk))
        if total is not None and self.partial.stat().st_size != total:
            raise requests.ConnectionError('the server closed the connection early')

    def _begin(self, response: requests.Response) -> None:
        """Record the version of the file; a weak ETag does not guarantee identical bytes."""
        version = response.headers.get('ETag')
        if not version or version.startswith('W/'):
            version = response.headers.get('Last-Modified')
        self.validator.unlink(missing_ok=True)
        self.partial.unlink(missing_ok=True)  # must precede the new validator, which does not describe these bytes
        if version:
            self.validator.write_text(version)


def _progress() -> Progress:
    return Progress(TextColumn('{task.description}'), BarColumn(), DownloadColumn(), TransferSpeedColumn(),
                    TimeRemainingColumn())

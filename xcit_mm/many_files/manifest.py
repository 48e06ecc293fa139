"""Record which images are finished, so that ``--resume`` skips them."""
from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..checkpoints.locating import locate
from ..files import complete_file, digest, size_and_time
from ..inference.results import collect_results
from ..inference.sources import all_files, result_name

FOLDER = '.xcit_mm_finished'  # in the folder of results


class Manifest:
    """The images that are finished: one JSON file for each, so that many processes can write at once.

    An entry is written after all results of its image are complete. While an image is processed, it has no entry but
    a file ``NAME.begun``, which stays behind if the process is killed.

    Args:
        folder: where the results are.
        inputs: files and folders of the command line, from which the names of results follow.
        settings: what results depend on apart from the image; see ``settings_of``.
        resume: whether finished images need not be processed again.
    """

    def __init__(self, folder: Path, inputs: Sequence[str | Path], settings: Mapping[str, Any], resume: bool) -> None:
        self.folder, self.inputs, self.settings, self.resume = folder, inputs, settings, resume

    def is_finished(self, path: Path, tell: Callable[[str], None] = print) -> bool:
        """Return whether an image need not be processed again; if it must, ``tell`` why in one line.

        Say nothing about an image that has no entry, unless a process was killed while processing it.
        """
        if not self.resume:
            return False
        reason = None
        try:
            reason = self._difference(path, json.loads(self._file(path, 'json').read_text(encoding='utf-8')))
        except FileNotFoundError:
            if not self._file(path, 'begun').exists():
                return False
            reason = 'an earlier run ended while processing it'
        except (OSError, ValueError, TypeError, LookupError, AttributeError):
            reason = f'its entry {self._file(path, "json")} is damaged'
        if reason:
            tell(f'processing {path} again: {reason}')
        return not reason

    @contextmanager
    def recording(self, path: Path) -> Iterator[None]:
        """Record an image as finished when the block ends without an error, along with the results written in it."""
        entry, begun = self._file(path, 'json'), self._file(path, 'begun')
        begun.parent.mkdir(parents=True, exist_ok=True)
        begun.touch()
        entry.unlink(missing_ok=True)  # some results are about to be replaced
        try:
            image = _identity(path)
            with collect_results() as written:
                yield
            results = [os.path.relpath(result, self.folder) for result in written]
            with complete_file(entry) as file:
                file.write_text(json.dumps(dict(self.settings, image=image, results=results)), encoding='utf-8')
        finally:
            begun.unlink(missing_ok=True)

    def interrupted_last(self, images: Sequence[Path]) -> list[Path]:
        """Move images to the end whose process was killed, because they may be the reason, e.g. for lack of memory.

        Without ``resume``, keep the order.
        """
        return sorted(images, key=lambda path: self.resume and self._file(path, 'begun').exists())

    def _file(self, path: Path, ending: str) -> Path:
        return self.folder / FOLDER / f'{result_name(path, self.inputs)}.{ending}'

    def _difference(self, path: Path, entry: dict[str, Any]) -> str:
        """Return how the current settings, image and results differ from those of an entry, or ''."""
        image, current = entry['image'], _identity(path)
        if image['path'] != current['path']:
            return f'its results are those of {image["path"]}'
        if image != current:
            return 'the file changed'
        for name in ('config', 'checkpoint'):
            if entry[name] != self.settings[name]:
                return f'the {name} changed'
        before, now = entry['options'], self.settings['options']
        changed = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
        if changed:
            return ', '.join(f'--{name.replace("_", "-")}' for name in changed) + ' changed'
        missing = [name for name in entry['results'] if not (self.folder / name).exists()]
        return f'{self.folder / missing[0]} is missing' if missing else ''


def settings_of(config: Config, checkpoint: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what identifies a config, a checkpoint and options, for ``Manifest``.

    Args:
        config: the config with the overrides from the command line.
        checkpoint: file or URL.
        options: other options that change results. In a dict, such as that of ``--statistics``, a file counts by its
            content.

    Raises:
        InputError: the checkpoint does not exist.
    """
    values = {name: {key: digest(Path(item)) if isinstance(item, str) and os.path.isfile(item) else item
                     for key, item in value.items()} if isinstance(value, dict) else value
              for name, value in options.items()}
    contents = {**config.to_dict(), 'work_dir': None}  # by default, the work dir follows from the config's name
    return dict(config=hashlib.sha256(repr(contents).encode()).hexdigest(), checkpoint=digest(locate(checkpoint)),
                options=json.loads(json.dumps(values, default=str)))  # as an entry gives them back


def _identity(path: Path) -> dict[str, Any]:
    """Return what tells an image from another one, or from its own earlier version."""
    files = {os.path.abspath(file): list(size_and_time(file)) for file in all_files(path)}
    return dict(path=os.path.abspath(path), files=files)  # lists, as JSON gives them back

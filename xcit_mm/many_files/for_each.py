"""Process images one after another, show the progress, and report failures."""
from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.control import Control
from rich.markup import escape
from rich.progress import Progress
from rich.segment import ControlType

from ..errors import InputError
from .manifest import Manifest
from .parts import largest_first
from .ranks import Ranks

CLEAR_LINE = Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2))


class Outcome(NamedTuple):
    """What became of the images, in this process or, on rank 0, in all of them.

    Attributes:
        finished: the images that an earlier run had finished.
        used: what ``work`` returned for the others.
        failures: one line for each image that could not be processed.
    """
    finished: list[str]
    used: list[str]
    failures: list[str]


def for_each_image(images: Sequence[Path], work: Callable[[Path, Callable[[float], None]], str | None],
                   ranks: Ranks | None = None, manifest: Manifest | None = None) -> Outcome:
    """Process images one after another and show a progress bar.

    Args:
        images: paths, e.g. from ``find_images``.
        work: called with a path and a callback that takes the completed fraction of the work, from 0 to 1.
        ranks: processes that share the images, the largest first. Default: only this process.
        manifest: tells which images an earlier run finished, and records the others.

    Raises:
        InputError: some images could not be processed; each was named, and the others were processed. Of several
            processes, only rank 0 raises this, after the others are done, because torchrun kills all when one fails.
    """
    ranks = ranks or Ranks()
    images = largest_first(images) if ranks.size > 1 else images
    images = manifest.interrupted_last(images) if manifest else images
    outcome, errors = Outcome([], [], []), []
    with Progress(disable=ranks.rank > 0) as bars, exit_on_sigterm():
        task = bars.add_task('', total=len(images))

        def advance(share: float = 0.0) -> None:
            if ranks.rank == 0:
                bars.update(task, completed=ranks.count_done() + share)

        for path in filter(ranks.claim, images):
            bars.update(task, description=escape(path.name))
            try:
                if manifest and manifest.is_finished(path, lambda line: print_line(bars.console, line)):
                    outcome.finished.append(str(path))
                else:
                    with manifest.recording(path) if manifest else nullcontext():
                        outcome.used.append(work(path, advance) or '')
            except Exception as error:  # whatever it is, the other images can still be processed
                errors.append(_named(error, path))
                outcome.failures.append(str(errors[-1]))
                if len(images) > 1:
                    print_line(bars.console, outcome.failures[-1])
            ranks.count_done(1)
            advance()
        bars.update(task, description='waiting for the other processes' if ranks.size > 1 else '')
        outcomes = ranks.gather(outcome, wait=advance)
    outcome = Outcome(*(sum(lists, []) for lists in zip(*outcomes)))
    if outcome.failures and ranks.rank == 0:
        _raise(outcome.failures, len(images), errors)
    return outcome


def _raise(failures: Sequence[str], total: int, errors: Sequence[InputError]) -> None:
    """Raise one error for all ``failures``; ``errors`` are those of this process."""
    cause = errors[0] if errors else InputError(failures[0])
    if total == 1:
        raise cause
    raise InputError(f'cannot process {len(failures)} of {total} images (named above); the others were processed'
                     ) from cause


def print_line(console: Console, line: str) -> None:
    """Print a line in the place of the progress bar, which another process may have drawn; the bar moves down."""
    console.control(CLEAR_LINE)
    console.print(escape(line), soft_wrap=True)


@contextmanager
def exit_on_sigterm() -> Iterator[None]:
    """Exit with code 143 on SIGTERM, as on Ctrl-C: temporary files are removed, unlike by the default action."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _named(error: Exception, path: Path) -> InputError:
    """Return a one-line error that names the image."""
    line = next(iter(str(error).splitlines()), '')
    if isinstance(error, InputError) and str(path) in line:
        return error
    reason = line if isinstance(error, InputError) else f'{type(error).__name__}: {line}'
    named = InputError(f'cannot process {path}: {reason}')
    named.__cause__ = error
    return named

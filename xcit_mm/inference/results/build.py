"""Build sinks, and check their files before anything is computed."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import InputError, describe_value
from ..sources import require_package
from .record import require_replaceable
from .sink import SINKS, Sink

SinkChoice = str | Mapping[str, Any]  # a name, or ``dict(type=name, ...)`` with arguments


def build_sinks(choices: Sequence[SinkChoice]) -> list[Sink]:
    """Build sinks from their registered names, or from ``dict(type=name, ...)`` with arguments.

    Raises:
        InputError: no sink has this name, a sink does not accept its arguments, or it needs a package that is not
            installed.
    """
    return [_build(**(choice if isinstance(choice, Mapping) else dict(type=choice))) for choice in choices]


def _build(type: object = None, **arguments: Any) -> Sink:
    if not isinstance(type, str) or type not in SINKS.module_dict:
        raise InputError(f'sinks must be among {", ".join(sorted(SINKS.module_dict))}, but got {describe_value(type)}')
    kind = SINKS.module_dict[type]
    for package in kind.packages:
        require_package(package, f'writing {kind.summary}')
    try:
        return kind(**arguments)
    except TypeError as error:
        raise InputError(f'cannot build the sink {type!r}: {error}') from None


def require_replaceable_results(sinks: Sequence[Sink], folder: Path, name: str, classes: Sequence[str]) -> None:
    """Check, before computing anything, that a result's files do not exist yet or come from an earlier run.

    Args:
        sinks: will write the files.
        folder: where they will write them.
        name: of the result.
        classes: name of each class.

    Raises:
        InputError: one of the file names is taken by a file that is not a result, or a sink needs a class that does not
            exist.
    """
    for sink in sinks:
        for ending in sink.all_endings(classes):
            require_replaceable(folder / f'{name}{ending}')

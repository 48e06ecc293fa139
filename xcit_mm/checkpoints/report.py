"""Report what happened to each key of a loaded checkpoint."""
from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Report:
    """Keys of a checkpoint and of the module that loads it, grouped by what happened to them.

    Attributes:
        source: path, URL, or ``'the checkpoint'``.
        format: project and kind of model, e.g. ``'timm classifier'``.
        arch: architecture of the XCiT in the checkpoint, e.g. ``'small_12_p16'``; '' if the module has no XCiT.
        loaded: keys of the module that were loaded.
        wanted: number of keys in the module.
        fresh: keys of the pyramid's levels that the checkpoint lacks; they stay randomly initialised.
        dropped: keys of the checkpoint that the module does not need, by reason.
        missing: other keys of the module that the checkpoint lacks.
        unexpected: keys of the checkpoint that the module lacks.
        conflicts: keys whose shapes or dtypes do not fit, each with what it is and what it must be.
        prefixes: describes the prefix that was removed from or added to all keys; '' for none.
        adapted: describes how a stem was adapted to the images' channels; '' if none was.
    """
    source: str
    format: str
    arch: str
    loaded: list[str]
    wanted: int
    fresh: list[str]
    dropped: dict[str, list[str]]
    missing: list[str]
    unexpected: list[str]
    conflicts: list[str]
    prefixes: str = ''
    adapted: str = ''

    @property
    def matched(self) -> int:
        """Number of keys that were loaded."""
        return len(self.loaded)

    @property
    def problems(self) -> list[str]:
        """Reasons why the checkpoint does not fit the module; empty if it fits."""
        return [f'{len(keys)} {kind}, e.g. {keys[0]}' for kind, keys in (
            ('missing', self.missing), ('unexpected', self.unexpected),
            ('with a different shape or kind', self.conflicts))
            if keys]

    def __str__(self) -> str:
        parts = [f'{self.source}: {self.format}{f" of {self.arch}" if self.arch else ""}',
                 f'loaded {self.matched} of {self.wanted} keys']
        if self.prefixes:
            parts.append(self.prefixes)
        if self.adapted:
            parts.append(self.adapted)
        if self.fresh:
            modules = sorted({key.split('.')[0] for key in self.fresh})
            parts.append(f'randomly initialised: {", ".join(modules)}')
        parts += [f'dropped {len(keys)} keys ({reason})' for reason, keys in self.dropped.items()]
        return '; '.join(parts + self.problems)

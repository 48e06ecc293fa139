"""Explain an unexpected exception in one line that names the setting at fault."""
from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from traceback import walk_tb
from types import FrameType
from typing import Any

from mmengine.config import Config


def explain(error: BaseException) -> str:
    """Return one line with the setting that the failing code was using, if it can be found, and the reason.

    The setting is the part of the config that was in use deepest in the stack when the exception was raised, narrowed
    to a key that the reason mentions, if any.
    """
    reason = _first_line(error)
    frames = list(_frames(error))
    config = next((value for frame in frames for value in _locals(frame).values() if isinstance(value, Config)), None)
    setting = '' if config is None else _setting(config.to_dict(), frames, reason)
    return f'{f"cannot use {setting}: " if setting else ""}{reason}; add --debug to see the traceback'


def _first_line(error: BaseException) -> str:
    """Return the error type and the reason, without the text that data-loader workers and MMEngine's registries add."""
    lines = str(error).strip().splitlines() or ['no reason given']
    if 'Original Traceback' in str(error):  # from a worker, which puts the reason last
        return lines[-1]
    return f'{type(error).__name__}: ' + re.sub(r'^(class `\w+` in \S+: )+', '', lines[0].strip())


def _frames(error: BaseException) -> Iterator[FrameType]:
    """Yield the stack frames of an exception and of the exceptions it replaced, outermost first."""
    yield from (frame for frame, _ in walk_tb(error.__traceback__))
    earlier = error.__cause__ or error.__context__
    if earlier is not None and type(earlier) is type(error):
        yield from _frames(earlier)


def _setting(config: dict, frames: list[FrameType], reason: str) -> str:
    leaf = _named_value(config, frames, reason)
    if leaf:
        return leaf
    nodes = list(_nodes(config))
    for frame in reversed(frames):
        values = _locals(frame)
        for value in values.values():
            path = next((path for path, node in nodes if _equal(node, value)), '')
            if path:
                return _with_key(path, value, reason)
        for name, value in values.items():
            if isinstance(value, (str, int, float)) and name in config and _equal(config[name], value):
                return f'{name}={value!r}'
    return ''


def _named_value(config: dict, frames: list[FrameType], reason: str) -> str:
    """Return the setting whose value the reason quotes or the failing function stores under the same name."""
    texts = [(path, value) for path, value in _leaves(config) if isinstance(value, str)]
    quoted = re.findall("'([^']+)'", reason)
    values = _locals(frames[-1])
    values |= vars(values['self']) if hasattr(values.get('self'), '__dict__') else {}
    for path, value in texts:
        key = path.rpartition('.')[2]
        held = [name for name, other in values.items() if _equal(other, value) and name.endswith(key)]
        if value in quoted or (held and key != 'type'):
            return f'{path}={value!r}'
    return ''


def _with_key(path: str, node: Mapping, reason: str) -> str:
    """Append the key that the reason mentions, or else the section's simple values if there are only a few."""
    words = re.findall(r'\w+', reason)
    keys = sorted((key for key in node if key in words and key != 'type'), key=words.index)
    if keys:
        value = node[keys[0]]
        return f'{path}.{keys[0]}' + ('' if isinstance(value, (Mapping, list, tuple)) else f'={value!r}')
    simple = [f'{key}={value!r}' for key, value in node.items() if isinstance(value, (str, int, float, tuple))]
    return f'{path} ({", ".join(simple)})' if 0 < len(simple) <= 6 else path


def _nodes(node: object, path: str = '') -> Iterator[tuple[str, Mapping]]:
    """Yield the path and content of every section of a config."""
    if isinstance(node, Mapping):
        if path and node:
            yield path, node
        for key, value in node.items():
            yield from _nodes(value, f'{path}.{key}' if path else str(key))
    elif isinstance(node, (list, tuple)):
        for index, value in enumerate(node):
            yield from _nodes(value, f'{path}.{index}')


def _leaves(node: object, path: str = '') -> Iterator[tuple[str, object]]:
    """Yield the path and value of every setting that is not a section."""
    items = node.items() if isinstance(node, Mapping) else enumerate(node) if isinstance(node, (list, tuple)) else ()
    for key, value in items:
        yield from _leaves(value, f'{path}.{key}' if path else str(key))
    if not isinstance(node, (Mapping, list, tuple)):
        yield path, node


def _locals(frame: FrameType) -> dict[str, Any]:
    return dict(frame.f_locals)


def _equal(node: object, value: object) -> bool:
    if isinstance(node, Mapping) != isinstance(value, Mapping):
        return False
    try:
        return bool(node == value)
    except Exception:  # comparing arrays or tensors does not give a single truth value
        return False

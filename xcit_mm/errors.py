"""Exceptions that the command-line tools print as one line."""
from __future__ import annotations

import reprlib


class InputError(ValueError):
    """Unusable input from the user; the message names the input, says why it cannot be used and how to fix it."""


class UnreadableImageError(InputError):
    """One unreadable image; the others of a run may still be readable."""


def describe_value(value: object) -> str:
    """Return the ``repr`` of a value, shortened to one line for an error message."""
    return ' '.join(reprlib.repr(value).split())

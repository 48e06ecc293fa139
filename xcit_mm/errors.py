"""Exceptions that the command-line tools print as one line."""
from __future__ import annotations

import reprlib


class InputError(ValueError):
    """Unusable user input; the message names it and says why it cannot be used and how to fix it.

    Line breaks, which can occur in names read from a file, become spaces.
    """

    def __init__(self, message: str) -> None:
        super().__init__(' '.join(message.splitlines()))


class UnreadableImageError(InputError):
    """One unreadable image; the others in the run may still be readable."""


# These names end in InputError because command_line.run finds the message in a worker's traceback by that ending.
class FileInputError(InputError, OSError):
    """A file or folder that cannot be read or written."""


class MissingInputError(FileInputError, FileNotFoundError):
    """A file or folder that does not exist."""


class DeniedInputError(FileInputError, PermissionError):
    """A file or folder that the user may not read or write."""


class MissingImageError(MissingInputError, UnreadableImageError):
    """An image file that does not exist."""


def file_error(message: str, cause: OSError) -> FileInputError:
    """Return an error that is an ``InputError`` and also has the type and ``errno`` of its cause."""
    kind = (MissingInputError if isinstance(cause, FileNotFoundError) else
            DeniedInputError if isinstance(cause, PermissionError) else FileInputError)
    error = kind(message)
    error.errno = cause.errno
    return error


def describe_value(value: object) -> str:
    """Return the ``repr`` of a value, shortened to one line for an error message."""
    return ' '.join(reprlib.repr(value).split())

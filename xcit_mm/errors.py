"""Exceptions that the command-line tools print as one line."""


class InputError(ValueError):
    """Unusable input from the user; the message names the input, says why it cannot be used and how to fix it."""


class UnreadableImageError(InputError):
    """One unreadable image; the others of a run may still be readable."""

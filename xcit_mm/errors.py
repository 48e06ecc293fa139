"""Exceptions that the command-line tools print as one line."""


class InputError(ValueError):
    """Unusable user input; the message names it and says why it cannot be used and how to fix it."""


class UnreadableImageError(InputError):
    """An image that cannot be read; other images in the same run may still be readable."""

"""The exceptions that the command-line tools turn into one line."""


class InputError(ValueError):
    """Something that the user gave cannot be used: the message names it, the reason and the way out."""


class UnreadableImageError(InputError):
    """One image cannot be read; others may be."""

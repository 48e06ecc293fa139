"""The one exception that the command-line tools turn into one line."""


class InputError(ValueError):
    """Something that the user gave cannot be used: the message names it, the reason and the way out."""

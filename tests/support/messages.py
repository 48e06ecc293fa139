"""Check the messages of the command-line tools."""


def is_one_line(said, *words):
    """Return whether a tool ended with a one-line error that contains all of the words."""
    return said is not None and said.startswith('error: ') and len(said.splitlines()) == 1 and all(
        word in said for word in words)

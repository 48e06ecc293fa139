"""A disk that is full."""
import resource
from contextlib import contextmanager


@contextmanager
def files_up_to(size):
    """Let writes fail beyond a size, in bytes, as on a full disk; Python ignores the signal."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

"""XCiT for dense prediction in the MM family. Importing this package registers its modules."""
from .backbone import XCiT

__version__ = '0.1.0'
__all__ = ['XCiT', '__version__']

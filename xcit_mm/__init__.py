"""XCiT for dense prediction in the MM family. Importing this package registers its modules."""
from .backbone import XCiT
from .config import config_path
from .runner import StrictRunner

__version__ = '0.1.0'
__all__ = ['StrictRunner', 'XCiT', '__version__', 'config_path']

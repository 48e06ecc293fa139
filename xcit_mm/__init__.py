"""XCiT for dense prediction in the MM family. Importing this package registers the backbone, and nothing else."""
from .backbone import XCiT
from .config import config_dict, config_path

__version__ = '0.1.0'
__all__ = ['XCiT', '__version__', 'config_dict', 'config_path']

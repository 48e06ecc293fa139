"""XCiT for dense prediction in the MM family. Importing this package registers the backbone, and nothing else."""
from .backbone import XCiT
from .config import config_dict, config_path
from .raster_settings import apply_raster_settings

__version__ = '0.1.0'
__all__ = ['XCiT', '__version__', 'apply_raster_settings', 'config_dict', 'config_path']

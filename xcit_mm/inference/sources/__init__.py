"""Sources of pixels. Importing this package registers them."""
from .choose import is_picture, open_source
from .decode import decode
from .find_images import find_images, result_name
from .image_file import Image, ImageFile, read_image
from .raster import RasterFile, quiet, require_geo
from .source import SOURCES, GeoReference, Source, find_source
from .tiff import TiffFile

__all__ = ['SOURCES', 'GeoReference', 'Image', 'ImageFile', 'RasterFile', 'Source', 'TiffFile', 'decode', 'find_images',
           'find_source', 'is_picture', 'open_source', 'quiet', 'read_image', 'require_geo', 'result_name']

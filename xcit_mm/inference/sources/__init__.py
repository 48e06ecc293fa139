"""Sources of pixels. Importing this package registers them."""
from .decode import decode
from .find_images import find_images, result_name
from .image_file import Image, ImageFile, read_image
from .source import SOURCES, GeoReference, Source, find_source, open_source
from .tiff import TiffFile

__all__ = ['SOURCES', 'GeoReference', 'Image', 'ImageFile', 'Source', 'TiffFile', 'decode', 'find_images',
           'find_source', 'open_source', 'read_image', 'result_name']

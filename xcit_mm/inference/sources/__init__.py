"""Sources of pixels. Importing this package registers them."""
from .all_files import all_files
from .choose import is_picture, is_pyramid, open_source
from .decode import decode
from .find_images import find_images, result_name
from .gdal import open_raster, quiet, read_box
from .image_file import Image, ImageFile, read_image
from .ome_tiff import OmeTiff
from .packages import require_package
from .raster import RasterFile
from .read_options import ReadOptions
from .slide import SlideFile
from .source import SOURCES, Box, GeoReference, Source, find_source
from .tiff import TiffFile
from .zarr_image import ZarrImage

__all__ = ['SOURCES', 'Box', 'GeoReference', 'Image', 'ImageFile', 'OmeTiff', 'RasterFile', 'ReadOptions', 'SlideFile',
           'Source', 'TiffFile', 'ZarrImage', 'all_files', 'decode', 'find_images', 'find_source', 'is_picture',
           'is_pyramid', 'open_raster', 'open_source', 'quiet', 'read_box', 'read_image', 'require_package',
           'result_name']

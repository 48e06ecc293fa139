"""Sinks for labels and objects. Importing this package registers them."""
from .coco_json import CocoJson
from .overlay import Overlay
from .png import PngLabels
from .sink import SINKS, ResultMeta, Sink, build_sinks, write_labels
from .tiff import TiffLabels

__all__ = ['SINKS', 'CocoJson', 'Overlay', 'PngLabels', 'ResultMeta', 'Sink', 'TiffLabels', 'build_sinks',
           'write_labels']

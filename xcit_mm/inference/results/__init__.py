"""Sinks for labels and objects. Importing this package registers them."""
from .coco_json import CocoJson
from .overlay import MIN_SCORE, Overlay
from .png import PngLabels, PngMasks, draw_indices, save_png
from .polygons import GeoJson, GeoPackage
from .probabilities import probability_ending, write_probabilities
from .record import is_result, require_replaceable, result_file
from .sink import SINKS, ResultMeta, Sink, build_sinks, require_replaceable_results, write_labels
from .tiff import TiffLabels

__all__ = ['MIN_SCORE', 'SINKS', 'CocoJson', 'GeoJson', 'GeoPackage', 'Overlay', 'PngLabels', 'PngMasks', 'ResultMeta',
           'Sink', 'TiffLabels', 'build_sinks', 'draw_indices', 'is_result', 'probability_ending',
           'require_replaceable', 'require_replaceable_results', 'result_file', 'save_png', 'write_labels',
           'write_probabilities']

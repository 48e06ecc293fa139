"""Sinks for labels, probabilities and objects. Importing this package registers them."""
from .build import SinkChoice, build_sinks, require_replaceable_results
from .coco_json import CocoJson
from .geojson import GeoJson
from .geopackage import GeoPackage
from .ome_tiff import OmeTiffLabels
from .overlay import MIN_SCORE, Overlay
from .page import Page
from .part import NO_PROBABILITY, PREDICTED, STEPS, Part, empty_part, to_steps
from .png import PngLabels, PngMasks, draw_indices, save_png
from .polygons import PolygonSink
from .probabilities import probability_ending, write_probabilities
from .record import collect_results, is_result, require_replaceable, result_file, result_folder
from .sink import SINKS, ResultMeta, Sink
from .thinning import Thinning
from .tiff import TiffLabels, TiffProbabilities
from .write import write_labels, write_parts

__all__ = ['MIN_SCORE', 'NO_PROBABILITY', 'PREDICTED', 'SINKS', 'STEPS', 'CocoJson', 'GeoJson', 'GeoPackage',
           'OmeTiffLabels', 'Overlay', 'Page', 'Part', 'PngLabels', 'PngMasks', 'PolygonSink', 'ResultMeta', 'Sink',
           'SinkChoice', 'Thinning', 'TiffLabels', 'TiffProbabilities', 'build_sinks', 'collect_results',
           'draw_indices', 'empty_part', 'is_result', 'probability_ending', 'require_replaceable',
           'require_replaceable_results', 'result_file', 'result_folder', 'save_png', 'to_steps', 'write_labels',
           'write_parts', 'write_probabilities']

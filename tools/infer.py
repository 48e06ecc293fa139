"""Segment images or detect objects in them, and write the results.

Pictures (PNG, JPEG, BMP, WebP, and TIFF in strips without a georeference) go through the config's test pipeline, which
gives overlays plus PNG files of class indices, or JSON files of objects. Other files, such as GeoTIFF, tiled TIFF, VRT
and JPEG 2000, are segmented by rows at full resolution, which gives cloud-optimised GeoTIFF files.
"""
import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from mmengine.model import BaseModel

from xcit_mm.apis import inference_detector, inference_segmentor, init_model, segment_file
from xcit_mm.classes import class_index
from xcit_mm.command_line import StatisticsAction, for_each_image, image_parser, run
from xcit_mm.config import load_config
from xcit_mm.config_contents import is_detector
from xcit_mm.errors import InputError
from xcit_mm.files import require_writable
from xcit_mm.inference.memory import parse_bytes
from xcit_mm.inference.modes import MODES
from xcit_mm.inference.pipeline import read_as_shown
from xcit_mm.inference.results import (
    MIN_SCORE,
    ResultMeta,
    build_sinks,
    is_result,
    probability_ending,
    require_replaceable,
    require_replaceable_results,
    write_labels,
    write_probabilities,
)
from xcit_mm.inference.sources import find_images, is_picture, result_name


def parse_args() -> argparse.Namespace:
    parser = image_parser(__doc__)
    modes = {name: MODES.module_dict[name].summary for name in sorted(MODES.module_dict)}
    parser.add_argument('--statistics', nargs='+', action=StatisticsAction, default='auto',
                        help=StatisticsAction.SUMMARY)
    segmentors = parser.add_argument_group('segmentors')
    segmentors.add_argument('--mode', default='auto', choices=list(modes),
                            help='; '.join(f'{name}: {summary}' for name, summary in modes.items()))
    segmentors.add_argument('--max-memory', metavar='SIZE',
                            help='limit for the process (on a GPU, its tensors), e.g. 2GB (default: all free memory)')
    segmentors.add_argument('--bands', type=int, nargs='+', default=[], metavar='NUMBER',
                            help="bands to read, from 1, in the order of the network's channels, e.g. 4 3 2 if these "
                            'are red, green and blue (default: all except alpha)')
    segmentors.add_argument('--polygons', nargs='?', const='gpkg', choices=['gpkg', 'geojson'],
                            help='also write polygons, as a GeoPackage (the default) or as GeoJSON')
    segmentors.add_argument('--probabilities', nargs='+', default=[], metavar='CLASS',
                            help='names or indices of classes to write probabilities for, as 16-bit PNG files; for '
                            'pictures only')
    detectors = parser.add_argument_group('detectors')
    detectors.add_argument('--min-score', type=float, metavar='SCORE',
                           help=f'leave out objects below this score, 0 … 1 (default: {MIN_SCORE})')
    detectors.add_argument('--boxes-only', action='store_true', help='leave out the masks')
    return parser.parse_args()


class Results:
    """An image's result files, which are checked before anything is computed.

    Args:
        args: the command-line arguments.
        model: the model.
        path: the image.
        sinks: names of the sinks that will write the files.
    """

    def __init__(self, args: argparse.Namespace, model: BaseModel, path: Path, *sinks: str) -> None:
        self.model, self.path, self.folder = model, path, args.out
        self.name, self.sinks = result_name(path, args.inputs), build_sinks(sinks)
        require_replaceable_results(self.sinks, self.folder, self.name)

    def meta(self, size: tuple[int, int]) -> ResultMeta:
        """Describe the result for an image whose height and width are ``size``."""
        known = self.model.dataset_meta
        return ResultMeta(self.name, *size, classes=known['classes'], palette=known['palette'],
                          read_image=lambda: read_as_shown(self.model.cfg, self.path))


def detect(args: argparse.Namespace, model: BaseModel, path: Path) -> None:
    results = Results(args, model, path, 'coco_json', 'overlay')
    sample = inference_detector(model, path, statistics=args.statistics, boxes_only=args.boxes_only, rle=True)
    objects = sample.pred_instances.cpu()
    objects = objects[objects.scores >= (MIN_SCORE if args.min_score is None else args.min_score)]
    for sink in results.sinks:
        sink.write_objects(args.out, objects, results.meta(sample.ori_shape))


def segment(args: argparse.Namespace, model: BaseModel, path: Path, advance: Callable[[float], None]) -> str:
    """Write the results for an image, and return the mode and the statistics used."""
    polygons = [args.polygons] if args.polygons else []
    if args.bands or not is_picture(path):
        if args.probabilities:
            raise InputError(f'cannot process {path}: probabilities can be written for pictures only, but this file is '
                             'read by rows; leave out --probabilities')
        return segment_file(model, path, args.out, args.mode, max_memory=args.max_memory, statistics=args.statistics,
                            sinks=['tiff', *polygons], name=result_name(path, args.inputs), bands=args.bands,
                            progress=advance)
    results = Results(args, model, path, 'png', 'overlay', *polygons)
    classes = [class_index(model.dataset_meta['classes'], name) for name in args.probabilities]
    for index in classes:
        require_replaceable(args.out / f'{results.name}{probability_ending(index, model.dataset_meta["classes"])}')
    sample = inference_segmentor(model, path, args.mode, max_memory=args.max_memory, statistics=args.statistics,
                                 full_resolution=args.full_resolution, return_probability_of=classes,
                                 progress=advance)
    labels: torch.Tensor = sample.pred_sem_seg.data[0]
    meta = results.meta(sample.ori_shape)
    write_labels(results.sinks, args.out, [labels], meta)
    if classes:
        write_probabilities(args.out, sample.seg_probabilities.data, classes, meta)
    return f'{sample.mode}, statistics {sample.statistics}'


def check(args: argparse.Namespace, detects: bool) -> None:
    """Before anything is computed, reject options that cannot work."""
    wrong = ([args.mode != 'auto', args.max_memory, args.full_resolution, args.bands, args.polygons,
              args.probabilities] if detects else [args.boxes_only, args.min_score is not None])
    if any(wrong):
        kinds = ('segmentors', 'a detector') if detects else ('detectors', 'a segmentor')
        raise InputError(f'an option only for {kinds[0]} was given, but {args.config} is {kinds[1]}; see --help')
    parse_bytes(args.max_memory)
    require_writable(args.out)


def main() -> None:
    args = parse_args()
    images = find_images(args.inputs, args.recursive, is_result)
    config = load_config(args.config, args.cfg_options)
    detects = is_detector(config)
    check(args, detects)
    model = init_model(config, args.checkpoint, args.device)
    for name in args.probabilities:
        class_index(model.dataset_meta['classes'], name)  # raises InputError for an unknown class
    modes = set()

    def work(path: Path, advance: Callable[[float], None]) -> None:
        if detects:
            detect(args, model, path)
        else:
            modes.add(segment(args, model, path, advance))

    for_each_image(images, work)
    used = f' (mode {" or ".join(sorted(modes))})' if modes else ''
    print(f'{len(images)} image(s): results in {args.out}{used}')


if __name__ == '__main__':
    run(main)

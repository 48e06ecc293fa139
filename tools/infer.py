"""Segment images or detect objects in them, and write the results.

Pictures (PNG, JPEG, BMP, WebP, and TIFF in strips without a georeference) go through the config's test pipeline, which
gives overlays plus PNG files of class indices, or JSON files of objects. Other files, such as GeoTIFF, tiled TIFF, VRT
and JPEG 2000, are segmented by rows at full resolution, which gives overlays plus cloud-optimised GeoTIFF files. Whole
slides, OME-TIFF and OME-Zarr, read at a chosen level or size of the pixels, give pyramidal OME-TIFF files instead.
"""
import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from mmengine.model import BaseModel

from xcit_mm.apis import inference_detector, inference_segmentor, init_model, segment_file
from xcit_mm.classes import class_index
from xcit_mm.command_line import StatisticsAction, image_parser, run
from xcit_mm.config import load_config
from xcit_mm.config_contents import is_detector
from xcit_mm.errors import InputError
from xcit_mm.files import require_writable
from xcit_mm.inference.labels import label_probabilities
from xcit_mm.inference.memory import parse_bytes
from xcit_mm.inference.modes import MODES
from xcit_mm.inference.pipeline import read_as_shown
from xcit_mm.inference.precision import PRECISIONS, SUMMARY
from xcit_mm.inference.results import (
    MIN_SCORE,
    PREDICTED,
    Part,
    ResultMeta,
    SinkChoice,
    build_sinks,
    is_result,
    probability_ending,
    require_replaceable,
    require_replaceable_results,
    to_steps,
    write_parts,
    write_probabilities,
)
from xcit_mm.inference.sources import ReadOptions, find_images, is_picture, is_pyramid, result_name
from xcit_mm.many_files import Manifest, for_each_image, join_ranks, part_of, settings_of

# Options that do not change results, and those whose contents the manifest compares.
NOT_COMPARED = {'inputs', 'out', 'recursive', 'device', 'max_memory', 'resume', 'part', 'debug'}
BY_CONTENT = {'config', 'cfg_options', 'checkpoint'}


def parse_args() -> argparse.Namespace:
    parser = image_parser(__doc__)
    modes = {name: MODES.module_dict[name].summary for name in sorted(MODES.module_dict)}
    parser.add_argument('--statistics', nargs='+', action=StatisticsAction, default='auto',
                        help=StatisticsAction.SUMMARY)
    parser.add_argument('--precision', default='float32', choices=PRECISIONS, help=SUMMARY)
    many = parser.add_argument_group('many files', 'torchrun shares the files among its processes')
    many.add_argument('--resume', action='store_true',
                      help='skip files that an earlier run finished with the same config, checkpoint and options')
    many.add_argument('--part', metavar='I/N', help='process only one of N parts of the files, e.g. 3/8 in a job array')
    segmentors = parser.add_argument_group('segmentors')
    segmentors.add_argument('--mode', default='auto', choices=list(modes),
                            help='; '.join(f'{name}: {summary}' for name, summary in modes.items()))
    segmentors.add_argument('--max-memory', metavar='SIZE',
                            help='limit for the process (on a GPU, its tensors), e.g. 2GB (default: all free memory)')
    segmentors.add_argument('--bands', type=int, nargs='+', default=[], metavar='NUMBER',
                            help="bands to read, from 1, in the order of the network's channels, e.g. 4 3 2 if these "
                            'are red, green and blue (default: all except alpha)')
    segmentors.add_argument('--level', type=int, metavar='NUMBER',
                            help='level of a slide, OME-TIFF or OME-Zarr pyramid to read (default: 0, the finest)')
    segmentors.add_argument('--microns-per-pixel', type=float, metavar='SIZE',
                            help='read a pyramid with pixels of this size instead of a level, e.g. 0.5')
    segmentors.add_argument('--polygons', nargs='?', const='gpkg', choices=['gpkg', 'geojson'],
                            help='also write polygons, as a GeoPackage (the default) or as GeoJSON')
    segmentors.add_argument('--min-area', type=float, default=0.0, metavar='AREA',
                            help='leave out polygons below this area, in square units of the CRS or, without one, in '
                            'pixels')
    segmentors.add_argument('--simplify', type=float, default=0.0, metavar='DISTANCE',
                            help='simplify polygons: leave out corners that are at most this far from the new outline, '
                            'in units of the CRS or, without one, pixels')
    segmentors.add_argument('--polygon-scores', action='store_true',
                            help='add the mean probability of the predicted class to each polygon')
    segmentors.add_argument('--probabilities', nargs='+', default=[], metavar='CLASS',
                            help='names or indices of classes to write probabilities for, as 16-bit PNG files for '
                            'pictures and as 8-bit GeoTIFF files for other files')
    segmentors.add_argument('--page', action='store_true',
                            help='also write a web page that shows the image with the labels over it, from disk')
    detectors = parser.add_argument_group('detectors')
    detectors.add_argument('--min-score', type=float, metavar='SCORE',
                           help=f'leave out objects below this score, 0 … 1 (default: {MIN_SCORE})')
    detectors.add_argument('--boxes-only', action='store_true', help='leave out the masks')
    return parser.parse_args()


class Results:
    """The result files of an image, which are checked before anything is computed."""

    def __init__(self, args: argparse.Namespace, model: BaseModel, path: Path, *sinks: SinkChoice) -> None:
        self.model, self.path, self.folder = model, path, args.out
        self.name, self.sinks = result_name(path, args.inputs), build_sinks(sinks)
        require_replaceable_results(self.sinks, self.folder, self.name, model.dataset_meta['classes'])

    def meta(self, size: tuple[int, int]) -> ResultMeta:
        """Describe the result for an image whose height and width are ``size``."""
        known = self.model.dataset_meta
        return ResultMeta(self.name, *size, classes=known['classes'], palette=known['palette'],
                          read_image=lambda: [read_as_shown(self.model.cfg, self.path)])


def detect(args: argparse.Namespace, model: BaseModel, path: Path) -> None:
    results = Results(args, model, path, 'coco_json', 'overlay')
    sample = inference_detector(model, path, statistics=args.statistics, precision=args.precision,
                                boxes_only=args.boxes_only, rle=True)
    objects = sample.pred_instances.cpu()
    objects = objects[objects.scores >= (MIN_SCORE if args.min_score is None else args.min_score)]
    for sink in results.sinks:
        sink.write_objects(args.out, objects, results.meta(sample.ori_shape))


def segment(args: argparse.Namespace, model: BaseModel, path: Path, advance: Callable[[float], None]) -> str:
    """Write the results for an image, and return the mode and the statistics used."""
    more = [*polygon_sinks(args), *(['page'] if args.page else [])]
    reading = ReadOptions(args.bands, level=args.level, microns_per_pixel=args.microns_per_pixel)
    if args.bands or reading.is_scaled or not is_picture(path):
        map_format = 'ome_tiff' if is_pyramid(path, reading) else 'tiff'
        maps = [dict(type='probabilities', classes=args.probabilities)] if args.probabilities else []
        return segment_file(model, path, args.out, args.mode, max_memory=args.max_memory, statistics=args.statistics,
                            precision=args.precision, sinks=[map_format, 'overlay', *maps, *more],
                            name=result_name(path, args.inputs), bands=args.bands, level=args.level,
                            microns_per_pixel=args.microns_per_pixel, progress=advance)
    results = Results(args, model, path, 'png', 'overlay', *more)
    classes = [class_index(model.dataset_meta['classes'], name) for name in args.probabilities]
    for index in classes:
        require_replaceable(args.out / f'{results.name}{probability_ending(index, model.dataset_meta["classes"])}')
    sample = inference_segmentor(model, path, args.mode, max_memory=args.max_memory, statistics=args.statistics,
                                 precision=args.precision, full_resolution=args.full_resolution,
                                 return_logits=args.polygon_scores, return_probability_of=classes, progress=advance)
    labels: torch.Tensor = sample.pred_sem_seg.data[0]
    meta, scores = results.meta(sample.ori_shape), {}
    if args.polygon_scores:
        scores[PREDICTED] = to_steps(label_probabilities(sample.seg_logits.data.permute(1, 2, 0), labels))
    write_parts(results.sinks, args.out, [Part(labels, scores)], meta)
    if classes:
        write_probabilities(args.out, sample.seg_probabilities.data, classes, meta)
    return f'{sample.mode}, statistics {sample.statistics}'


def polygon_sinks(args: argparse.Namespace) -> list[SinkChoice]:
    options = dict(min_area=args.min_area, simplify=args.simplify, scores=args.polygon_scores)
    if not args.polygons and any(options.values()):
        raise InputError('--min-area, --simplify and --polygon-scores need --polygons')
    return [dict(type=args.polygons, **options)] if args.polygons else []


def check(args: argparse.Namespace, detects: bool) -> None:
    """Before anything is computed, reject options that cannot work."""
    wrong = ([args.mode != 'auto', args.max_memory, args.full_resolution, args.bands, args.level is not None,
              args.microns_per_pixel is not None, args.polygons, args.min_area, args.simplify, args.polygon_scores,
              args.probabilities, args.page] if detects else [args.boxes_only, args.min_score is not None])
    if any(wrong):
        kinds = ('segmentors', 'a detector') if detects else ('detectors', 'a segmentor')
        raise InputError(f'an option only for {kinds[0]} was given, but {args.config} is {kinds[1]}; see --help')
    build_sinks(polygon_sinks(args))
    parse_bytes(args.max_memory)
    require_writable(args.out)


def main() -> None:
    args = parse_args()
    ranks = join_ranks()
    images = part_of(find_images(args.inputs, args.recursive, is_result), args.part)
    config = load_config(args.config, args.cfg_options)
    detects = is_detector(config)
    check(args, detects)
    device = ranks.choose_device(args.device)
    model = init_model(config, args.checkpoint, device)
    args.max_memory = args.max_memory or ranks.memory_limit(device)
    for name in args.probabilities:
        class_index(model.dataset_meta['classes'], name)  # raises InputError for an unknown class
    options = {name: value for name, value in vars(args).items() if name not in NOT_COMPARED | BY_CONTENT}
    manifest = Manifest(args.out, args.inputs, settings_of(config, args.checkpoint, options),
                        resume=args.resume or ranks.restarted)

    def work(path: Path, advance: Callable[[float], None]) -> str | None:
        if not detects:
            return segment(args, model, path, advance)
        detect(args, model, path)
        return None

    outcome = for_each_image(images, work, ranks, manifest)
    if ranks.rank == 0:
        modes = sorted(filter(None, set(outcome.used)))
        used = f' (mode {" or ".join(modes)})' if modes else ''
        before = f', {len(outcome.finished)} of them from an earlier run' if outcome.finished else ''
        print(f'{len(images)} image(s): results in {args.out}{before}{used}')


if __name__ == '__main__':
    run(main)

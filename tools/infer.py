"""Segment images or detect objects in them, and write overlays with PNGs of class indices or JSON files of objects."""
import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from mmengine.model import BaseModel

from xcit_mm.apis import inference_detector, inference_segmentor, init_model, segment_file
from xcit_mm.command_line import for_each_image, image_parser, run
from xcit_mm.config import load_config
from xcit_mm.errors import InputError, file_error
from xcit_mm.inference.memory import parse_bytes
from xcit_mm.inference.modes import MODES
from xcit_mm.inference.pipeline import read_as_shown
from xcit_mm.inference.results import ResultMeta, build_sinks, write_labels
from xcit_mm.inference.sources import find_images

MIN_SCORE = 0.3


def parse_args() -> argparse.Namespace:
    parser = image_parser(__doc__)
    modes = {name: MODES.module_dict[name].summary for name in sorted(MODES.module_dict)}
    segmentors = parser.add_argument_group('segmentors')
    segmentors.add_argument('--mode', default='auto', choices=list(modes),
                            help='; '.join(f'{name}: {summary}' for name, summary in modes.items()))
    segmentors.add_argument('--max-memory', metavar='SIZE',
                            help='limit for the process (on a GPU, its tensors), e.g. 2GB (default: all free memory)')
    segmentors.add_argument('--blocks', action='store_true',
                            help='read and write by rows, at full resolution, for TIFF files larger than memory')
    detectors = parser.add_argument_group('detectors')
    detectors.add_argument('--min-score', type=float, metavar='SCORE',
                           help=f'leave out objects below this score, 0 … 1 (default: {MIN_SCORE})')
    detectors.add_argument('--boxes-only', action='store_true', help='leave out the masks')
    return parser.parse_args()


def meta_of(model: BaseModel, path: Path, size: tuple[int, int]) -> ResultMeta:
    """Describe the result for an image of height and width ``size``."""
    return ResultMeta(path.stem, *size, classes=model.dataset_meta['classes'], palette=model.dataset_meta['palette'],
                      read_image=lambda: read_as_shown(model.cfg, path)[..., ::-1])


def detect(args: argparse.Namespace, model: BaseModel, path: Path) -> None:
    sample = inference_detector(model, path, boxes_only=args.boxes_only, rle=True)
    objects = sample.pred_instances.cpu()
    objects = objects[objects.scores >= (MIN_SCORE if args.min_score is None else args.min_score)]
    for sink in build_sinks(('coco_json', 'overlay')):
        sink.write_objects(args.out, objects, meta_of(model, path, sample.ori_shape))


def segment(args: argparse.Namespace, model: BaseModel, path: Path, advance: Callable[[float], None]) -> str:
    """Write the results for an image and return the mode used."""
    if args.blocks:
        return segment_file(model, path, args.out, args.mode, max_memory=args.max_memory, progress=advance)
    sample = inference_segmentor(model, path, args.mode, max_memory=args.max_memory,
                                 full_resolution=args.full_resolution, progress=advance)
    labels: torch.Tensor = sample.pred_sem_seg.data[0]
    write_labels(build_sinks(('png', 'overlay')), args.out, [labels], meta_of(model, path, sample.ori_shape))
    return str(sample.mode)


def check(args: argparse.Namespace, detects: bool) -> None:
    """Reject options that cannot work before anything is computed."""
    wrong = ([args.mode != 'auto', args.max_memory, args.full_resolution, args.blocks] if detects
             else [args.boxes_only, args.min_score is not None])
    if any(wrong):
        kinds = ('segmentors', 'a detector') if detects else ('detectors', 'a segmentor')
        raise InputError(f'an option for {kinds[0]} was given, but {args.config} is {kinds[1]}; see --help')
    parse_bytes(args.max_memory)
    try:
        args.out.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=args.out).close()
    except OSError as error:
        raise file_error(f'cannot write to the folder {args.out}: {error.strerror}', error) from None


def main() -> None:
    args = parse_args()
    images = find_images(args.inputs)
    config = load_config(args.config, args.cfg_options)
    detects = config.get('default_scope') == 'mmdet'
    check(args, detects)
    model = init_model(config, args.checkpoint, args.device)
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

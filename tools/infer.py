"""Segment images or find objects in them: overlays, beside PNGs of class indices or JSONs of objects."""
import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

from mmengine.model import BaseModel

from xcit_mm.apis import MODES, inference_detector, inference_segmentor, init_model
from xcit_mm.command_line import for_each_image, image_parser, run
from xcit_mm.config import load_config
from xcit_mm.errors import InputError
from xcit_mm.inference.memory import parse_bytes
from xcit_mm.inference.pipeline import read_as_shown
from xcit_mm.inference.results.png import write_detection, write_segmentation
from xcit_mm.inference.sources.image_file import find_images

MIN_SCORE = 0.3


def parse_args() -> argparse.Namespace:
    parser = image_parser(__doc__)
    segmentors = parser.add_argument_group('segmentors')
    segmentors.add_argument('--mode', default='auto', choices=MODES,
                            help='the whole image at once, the same by bands of rows, or sliding windows '
                                 '(default: the fastest that fits the memory, or windows if the config says so)')
    segmentors.add_argument('--max-memory', metavar='SIZE',
                            help='of the process (on a GPU: of its tensors), e.g. 2GB (default: what is free)')
    segmentors.add_argument('--blocks', action='store_true',
                            help='read and write TIFFs by blocks, at full resolution: for images larger than memory')
    detectors = parser.add_argument_group('detectors')
    detectors.add_argument('--min-score', type=float, metavar='SCORE',
                           help=f'leave out objects below this score, 0 … 1 (default: {MIN_SCORE})')
    detectors.add_argument('--boxes-only', action='store_true', help='leave out the masks')
    return parser.parse_args()


def detect(args: argparse.Namespace, model: BaseModel, path: Path) -> None:
    instances = inference_detector(model, path, boxes_only=args.boxes_only, rle=True).pred_instances.cpu()
    instances = instances[instances.scores >= (MIN_SCORE if args.min_score is None else args.min_score)]
    write_detection(args.out, path.stem, read_as_shown(model.cfg, path), instances, model.dataset_meta)


def segment(args: argparse.Namespace, model: BaseModel, path: Path, advance: Callable[[float], None]) -> str:
    """Write what is asked for, and return the mode that was taken."""
    if args.blocks:
        from xcit_mm.inference import blocks

        return blocks.segment_file(model, path, args.out, args.mode, args.max_memory, advance)
    sample = inference_segmentor(model, path, args.mode, max_memory=args.max_memory,
                                 full_resolution=args.full_resolution, progress=advance)
    labels = sample.pred_sem_seg.data[0].numpy()
    write_segmentation(args.out, path.stem, read_as_shown(model.cfg, path), labels, model.dataset_meta)
    return sample.mode


def check(args: argparse.Namespace, images: list[Path], detects: bool) -> None:
    """Refuse what cannot be done before anything is computed."""
    wrong = ([args.mode != 'auto', args.max_memory, args.full_resolution, args.blocks] if detects
             else [args.boxes_only, args.min_score is not None])
    if any(wrong):
        kinds = ('segmentors', 'a detector') if detects else ('detectors', 'a segmentor')
        raise InputError(f'an option for {kinds[0]} was given, and {args.config} is {kinds[1]}; see --help')
    parse_bytes(args.max_memory)
    others = [path for path in images if path.suffix.lower() not in ('.tif', '.tiff')]
    if args.blocks and others:
        raise InputError(f'{others[0]} is no TIFF, and only those are read by blocks: convert it, or leave out '
                         '--blocks')
    try:
        args.out.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=args.out).close()
    except OSError as error:
        raise InputError(f'cannot write to the folder {args.out}: {error.strerror}') from None


def main() -> None:
    args = parse_args()
    images = find_images(args.inputs)
    config = load_config(args.config, args.cfg_options)
    detects = config.get('default_scope') == 'mmdet'
    check(args, images, detects)
    model = init_model(config, args.checkpoint, args.device)
    modes = set()

    def work(path: Path, advance: Callable[[float], None]) -> None:
        if detects:
            detect(args, model, path)
        else:
            modes.add(segment(args, model, path, advance))

    for_each_image(images, work)
    took = f' (mode {" or ".join(sorted(modes))})' if modes else ''
    print(f'{len(images)} image(s): results in {args.out}{took}')


if __name__ == '__main__':
    run(main)

"""Segment images or find objects in them: overlays, beside PNGs of class indices or JSONs of objects."""
import argparse
from pathlib import Path

import torch
from mmengine.config import DictAction
from rich.progress import Progress
from torch import nn

from xcit_mm.apis import MODES, inference_detector, inference_segmentor, init_model
from xcit_mm.command_line import run
from xcit_mm.config import load_config
from xcit_mm.errors import InputError
from xcit_mm.images import find_images, read_image
from xcit_mm.predictions import write_detection, write_segmentation


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='file or URL: checkpoint of a training, or a state dict')
    parser.add_argument('inputs', nargs='+', metavar='IMAGE_OR_FOLDER')
    parser.add_argument('--out', type=Path, required=True, metavar='DIR', help='folder for the results')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu',
                        help='e.g. cuda:1 (default: %(default)s)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='override settings of the config')
    segmentors = parser.add_argument_group('segmentors')
    segmentors.add_argument('--mode', default='auto', choices=MODES,
                            help='the whole image at once, the same by bands of rows, or sliding windows '
                                 '(default: the fastest that fits the memory, or windows if the config says so)')
    segmentors.add_argument('--max-memory', metavar='SIZE',
                            help='of the process (on a GPU: of its tensors), e.g. 2GB (default: what is free)')
    segmentors.add_argument('--full-resolution', action='store_true',
                            help='do not resize the image, though the config does')
    segmentors.add_argument('--blocks', action='store_true',
                            help='read and write TIFFs by blocks, at full resolution: for images larger than memory')
    detectors = parser.add_argument_group('detectors')
    detectors.add_argument('--min-score', type=float, default=0.3, metavar='SCORE',
                           help='leave out objects below this score, 0 … 1 (default: %(default)s)')
    detectors.add_argument('--boxes-only', action='store_true', help='leave out the masks')
    return parser.parse_args()


def detect_in_file(args: argparse.Namespace, model: nn.Module, path: Path) -> None:
    instances = inference_detector(model, path, boxes_only=args.boxes_only, rle=True).pred_instances.cpu()
    instances = instances[instances.scores >= args.min_score]
    write_detection(args.out, path.stem, read_image(path), instances, model.dataset_meta)


def main() -> None:
    args = parse_args()
    images = find_images(args.inputs)
    model = init_model(load_config(args.config, args.cfg_options), args.checkpoint, args.device)
    detects = model.cfg.get('default_scope') == 'mmdet'
    if detects and (args.mode != 'auto' or args.max_memory or args.full_resolution or args.blocks):
        raise InputError('--mode, --max-memory, --full-resolution and --blocks are for segmentors, and '
                         f'{args.config} is a detector')
    modes = set()
    with Progress() as bars:
        task = bars.add_task('', total=len(images))
        for index, path in enumerate(images):
            bars.update(task, completed=index, description=path.name)

            def advance(share: float, index: int = index) -> None:
                bars.update(task, completed=index + share)

            if detects:
                detect_in_file(args, model, path)
            elif args.blocks:
                from xcit_mm.blocks import segment_file

                modes.add(segment_file(model, path, args.out, args.mode, args.max_memory, advance))
            else:
                sample = inference_segmentor(model, path, args.mode, max_memory=args.max_memory,
                                             full_resolution=args.full_resolution, progress=advance)
                modes.add(sample.get('mode', "the model's own"))
                labels = sample.pred_sem_seg.data[0].cpu().numpy()
                write_segmentation(args.out, path.stem, read_image(path), labels, model.dataset_meta)
            advance(1.0)
    took = f' (mode {" or ".join(sorted(modes))})' if modes else ''
    print(f'{len(images)} image(s): results in {args.out}{took}')


if __name__ == '__main__':
    run(main)

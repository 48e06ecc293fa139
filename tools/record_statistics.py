"""Record the sums that a segmentor computes over images, for ``--statistics frozen file=FILE``."""
import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from mmengine.config import DictAction

from xcit_mm.apis import inference_segmentor, init_model
from xcit_mm.command_line import run
from xcit_mm.config import load_config
from xcit_mm.files import complete_file, require_writable
from xcit_mm.inference.sources import find_images
from xcit_mm.many_files import for_each_image
from xcit_mm.statistics import Recorder


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file of a segmentor')
    parser.add_argument('checkpoint', help='file or URL of a training checkpoint or a state dict')
    parser.add_argument('inputs', nargs='+', metavar='IMAGE_OR_FOLDER',
                        help='training images, or one image that is like those to segment')
    parser.add_argument('--out', type=Path, required=True, metavar='FILE', help='a .safetensors file')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu',
                        help='e.g. cuda:1 (default: %(default)s)')
    parser.add_argument('--full-resolution', action='store_true',
                        help='do not resize the images, even if the config does')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='override settings of the config')
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    images = find_images(args.inputs)
    require_writable(args.out.parent)
    model = init_model(load_config(args.config, args.cfg_options), args.checkpoint, args.device)
    recorder = Recorder()

    def work(path: Path, advance: Callable[[float], None]) -> None:
        inference_segmentor(model, path, statistics=recorder, full_resolution=args.full_resolution, progress=advance)

    try:
        for_each_image(images, work)
    finally:  # keeps what was recorded if some of the images cannot be read
        if recorder.sums:
            with complete_file(args.out) as file:
                recorder.save(file)
            print(f'{recorder.counts["moments.0"]} image(s) or windows: statistics in {args.out}')


if __name__ == '__main__':
    run(main)

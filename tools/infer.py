"""Segment images or find objects in them: overlays, beside PNGs of class indices or JSONs of objects."""
import argparse
from pathlib import Path

import torch
from mmengine.config import DictAction
from rich.progress import track

from xcit_mm.apis import MODES, inference_detector, inference_segmentor, init_model
from xcit_mm.command_line import run
from xcit_mm.config import load_config
from xcit_mm.errors import InputError
from xcit_mm.images import find_images, read_image
from xcit_mm.predictions import write_detection, write_segmentation


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='file or URL: checkpoint of a training, or a state dict')
    parser.add_argument('inputs', nargs='+', metavar='IMAGE_OR_FOLDER')
    parser.add_argument('--out', type=Path, required=True, metavar='DIR', help='folder for the results')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu',
                        help='e.g. cuda:1 (default: %(default)s)')
    parser.add_argument('--mode', default='config', choices=MODES,
                        help='banded: a whole image of any size in bounded memory (default: as the config says)')
    parser.add_argument('--min-score', type=float, default=0.3, metavar='SCORE',
                        help='leave out objects below this score, 0 … 1 (default: %(default)s)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='override settings of the config')
    args = parser.parse_args()
    images = find_images(args.inputs)
    model = init_model(load_config(args.config, args.cfg_options), args.checkpoint, args.device)
    detects = model.cfg.get('default_scope') == 'mmdet'
    if detects and args.mode != 'config':
        raise InputError(f'--mode {args.mode} is for segmentors, and {args.config} is a detector')
    for path in track(images, description='detecting' if detects else 'segmenting'):
        if detects:
            instances = inference_detector(model, path).pred_instances.cpu()
            instances = instances[instances.scores >= args.min_score]
            write_detection(args.out, path.stem, read_image(path), instances, model.dataset_meta)
        else:
            labels = inference_segmentor(model, path, args.mode).pred_sem_seg.data[0].cpu().numpy()
            write_segmentation(args.out, path.stem, read_image(path), labels, model.dataset_meta)
    print(f'{len(images)} image(s): results in {args.out}')


if __name__ == '__main__':
    run(main)

"""Segment images: a PNG of class indices and an overlay with a legend for each."""
import argparse
from pathlib import Path

import torch
from rich.progress import track

from xcit_mm.apis import inference_segmentor, init_model
from xcit_mm.command_line import run
from xcit_mm.images import find_images, read_image
from xcit_mm.predictions import write_segmentation


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='file or URL: checkpoint of a training, or a state dict')
    parser.add_argument('inputs', nargs='+', metavar='IMAGE_OR_FOLDER')
    parser.add_argument('--out', type=Path, required=True, metavar='DIR', help='folder for the results')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu',
                        help='e.g. cuda:1 (default: %(default)s)')
    args = parser.parse_args()
    images = find_images(args.inputs)
    model = init_model(args.config, args.checkpoint, args.device)
    for path in track(images, description='segmenting'):
        labels = inference_segmentor(model, path).pred_sem_seg.data[0].cpu().numpy()
        write_segmentation(args.out, path.stem, read_image(path), labels, model.dataset_meta)
    print(f'{len(images)} image(s): results in {args.out}')


if __name__ == '__main__':
    run(main)

"""Draw what the backbone makes of images: feature maps as colours, and each head's channel attention."""
import argparse
from pathlib import Path

import torch
from mmengine.config import DictAction
from rich.progress import track

from xcit_mm.apis import init_model
from xcit_mm.command_line import run
from xcit_mm.config import load_config
from xcit_mm.files import complete_file
from xcit_mm.image_pipeline import prepare_image, read_as_shown
from xcit_mm.images import find_images
from xcit_mm.inspection import draw_attention, draw_features, inspect


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='file or URL: checkpoint of a training, or a state dict')
    parser.add_argument('inputs', nargs='+', metavar='IMAGE_OR_FOLDER')
    parser.add_argument('--out', type=Path, required=True, metavar='DIR', help='folder for the pictures')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu',
                        help='e.g. cuda:1 (default: %(default)s)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='override settings of the config')
    parser.add_argument('--full-resolution', action='store_true',
                        help='do not resize the image, though the config does')
    args = parser.parse_args()
    images = find_images(args.inputs)
    model = init_model(load_config(args.config, args.cfg_options), args.checkpoint, args.device)
    for path in track(images, description='drawing'):
        levels, attention = inspect(model, prepare_image(model.cfg, path, args.full_resolution))
        shown = read_as_shown(model.cfg, path)[..., ::-1]
        for kind, picture in (('features', draw_features(shown, levels, model.backbone.out_strides)),
                              ('attention', draw_attention(attention))):
            with complete_file(args.out / f'{path.stem}_{kind}.png') as partial:
                picture.save(partial, 'PNG')
    print(f'{len(images)} image(s): pictures in {args.out}')


if __name__ == '__main__':
    run(main)

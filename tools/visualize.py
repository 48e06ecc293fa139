"""Draw the backbone's feature maps in colour for each image, along with the channel attention of each head."""
from collections.abc import Callable
from pathlib import Path

from xcit_mm.apis import init_model
from xcit_mm.command_line import image_parser, run
from xcit_mm.config import load_config
from xcit_mm.inference.feature_maps import draw_attention, draw_features, inspect
from xcit_mm.inference.pipeline import prepare_image, read_as_shown
from xcit_mm.inference.results import is_result, result_file
from xcit_mm.inference.sources import find_images, result_name
from xcit_mm.many_files import for_each_image


def main() -> None:
    args = image_parser(__doc__).parse_args()
    images = find_images(args.inputs, args.recursive, is_result)
    model = init_model(load_config(args.config, args.cfg_options), args.checkpoint, args.device)

    def draw(path: Path, advance: Callable[[float], None]) -> None:
        levels, attention = inspect(model, prepare_image(model.cfg, path, args.full_resolution))
        shown = read_as_shown(model.cfg, path)
        for kind, picture in (('features', draw_features(shown, levels, model.backbone.out_strides)),
                              ('attention', draw_attention(attention))):
            with result_file(args.out / f'{result_name(path, args.inputs)}_{kind}.png') as partial:
                picture.save(partial, 'PNG')

    for_each_image(images, draw)
    print(f'{len(images)} image(s): pictures in {args.out}')


if __name__ == '__main__':
    run(main)

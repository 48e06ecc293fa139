"""Evaluate a checkpoint on the config's test data."""
import argparse

from mmengine.config import Config
from mmengine.dist import is_main_process

from xcit_mm import checkpoints
from xcit_mm.command_line import run, runner_config, runner_parser
from xcit_mm.config import iterate_test_data, require_data
from xcit_mm.errors import InputError
from xcit_mm.inference.modes import MODES
from xcit_mm.inference.pipeline import without_resizing
from xcit_mm.training import StrictRunner

BOUNDED = 'xcit_mm.inference.segmentor.BoundedEncoderDecoder'


def parse_args() -> argparse.Namespace:
    parser = runner_parser(__doc__)
    parser.add_argument('checkpoint', help='file or URL of a training checkpoint or a state dict')
    parser.add_argument('--mode', choices=sorted(MODES.module_dict),
                        help="inference mode of a segmentor (default: the config's test_cfg.mode)")
    parser.add_argument('--full-resolution', action='store_true',
                        help="evaluate a segmentor on images and labels at their original size, without the test "
                             "pipeline's resizing")
    return parser.parse_args()


def set_mode(config: Config, mode: str) -> None:
    """Set the inference mode of a config's segmentor, replacing mmseg's ``EncoderDecoder`` with ours."""
    kind = getattr(config.model.type, '__name__', config.model.type).rsplit('.', 1)[-1]
    if kind not in ('EncoderDecoder', 'BoundedEncoderDecoder'):
        raise InputError(f'--mode is for an EncoderDecoder, but the model is a {kind}; leave it out')
    config.model.type = BOUNDED
    config.model.setdefault('test_cfg', {})['mode'] = mode


def main() -> None:
    args = parse_args()
    config = runner_config(args)
    if (args.mode or args.full_resolution) and config.get('default_scope') == 'mmdet':
        raise InputError(f'--mode and --full-resolution are for segmentors, but {args.config} is a detector')
    require_data(config, ('test', ))
    checkpoints.require(args.checkpoint)
    if args.mode:
        set_mode(config, args.mode)
    if args.full_resolution:
        for dataset in iterate_test_data(config):
            dataset.pipeline = without_resizing(dataset.pipeline)
    config.load_from, config.resume = args.checkpoint, False
    metrics = StrictRunner.from_cfg(config).test()
    if is_main_process():
        for name, value in metrics.items():
            print(f'{name}: {value}')


if __name__ == '__main__':
    run(main)

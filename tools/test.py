"""Evaluate a checkpoint on the config's test data."""
import argparse

from mmengine.dist import is_main_process

from xcit_mm import checkpoints
from xcit_mm.command_line import StatisticsAction, run, runner_config, runner_parser
from xcit_mm.config import require_data
from xcit_mm.config_contents import is_detector
from xcit_mm.errors import InputError
from xcit_mm.inference.modes import MODES
from xcit_mm.inference.precision import PRECISIONS, SUMMARY
from xcit_mm.training import StrictRunner
from xcit_mm.training.evaluation import save_results, set_inference, use_augmentation, use_full_resolution


def parse_args() -> argparse.Namespace:
    parser = runner_parser(__doc__)
    parser.add_argument('checkpoint', help='file or URL of a training checkpoint or a state dict')
    parser.add_argument('--out', metavar='DIR',
                        help='write the predictions: PNG files of class indices, or JSON files of objects')
    parser.add_argument('--show-dir', metavar='DIR', help='draw the predictions over the images')
    parser.add_argument('--tta', action='store_true',
                        help="average the predictions for augmented images: the config's tta_pipeline and tta_model")
    parser.add_argument('--mode', choices=sorted(MODES.module_dict),
                        help="inference mode of a segmentor (default: the config's test_cfg.mode)")
    parser.add_argument('--statistics', nargs='+', action=StatisticsAction, help=StatisticsAction.SUMMARY)
    parser.add_argument('--precision', choices=PRECISIONS, help=SUMMARY)
    parser.add_argument('--full-resolution', action='store_true',
                        help="evaluate a segmentor on images and labels at their original size, without the test "
                             "pipeline's resizing")
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    config = runner_config(args)
    if (args.mode or args.statistics or args.precision or args.full_resolution) and is_detector(config):
        raise InputError('--mode, --statistics, --precision and --full-resolution are for segmentors, but '
                         f'{args.config} is a detector')
    if args.tta and args.full_resolution:
        raise InputError('--tta resizes as the tta_pipeline says; leave out --tta or --full-resolution')
    require_data(config, ('test', ))
    checkpoints.require(args.checkpoint)
    set_inference(config, mode=args.mode, statistics=args.statistics, precision=args.precision)
    if args.full_resolution:
        use_full_resolution(config)
    if args.tta:
        use_augmentation(config)
    save_results(config, args.out, args.show_dir)
    config.load_from, config.resume = args.checkpoint, False
    metrics = StrictRunner.from_cfg(config).test()
    if is_main_process():
        for name, value in metrics.items():
            print(f'{name}: {value}')


if __name__ == '__main__':
    run(main)

"""Evaluate a checkpoint on the config's test data."""
from mmengine.dist import is_main_process

from xcit_mm import checkpoints
from xcit_mm.command_line import run, runner_config, runner_parser
from xcit_mm.config import require_data
from xcit_mm.training.runner import StrictRunner


def main() -> None:
    parser = runner_parser(__doc__)
    parser.add_argument('checkpoint', help='file or URL: checkpoint of a training, or a state dict')
    args = parser.parse_args()
    config = runner_config(args)
    require_data(config, ('test', ))
    checkpoints.require(args.checkpoint)
    config.load_from, config.resume = args.checkpoint, False
    metrics = StrictRunner.from_cfg(config).test()
    if is_main_process():
        for name, value in metrics.items():
            print(f'{name}: {value}')


if __name__ == '__main__':
    run(main)

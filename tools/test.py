"""Evaluate a checkpoint on the config's test data."""
from mmengine.runner import Runner

from xcit_mm import checkpoints
from xcit_mm.command_line import run, runner_config, runner_parser
from xcit_mm.config import require_data


def main() -> None:
    parser = runner_parser(__doc__)
    parser.add_argument('checkpoint', help='checkpoint of a training, or a state dict')
    args = parser.parse_args()
    config = runner_config(args)
    require_data(config, ('test', ))
    checkpoint = checkpoints.read(args.checkpoint)
    config.load_from, config.resume = None, False  # the runner's own loading is neither strict nor safe
    runner = Runner.from_cfg(config)
    runner.call_hook('after_load_checkpoint', checkpoint=checkpoint)
    checkpoints.load(getattr(runner.model, 'module', runner.model), checkpoint, args.checkpoint)
    for name, value in runner.test().items():
        print(f'{name}: {value}')


if __name__ == '__main__':
    run(main)

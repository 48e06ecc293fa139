"""Evaluate a checkpoint on the config's test data."""
import argparse
import os
import sys

from mmengine.config import DictAction
from mmengine.runner import Runner

from xcit_mm import checkpoints
from xcit_mm.config import load_config, require_data
from xcit_mm.errors import InputError


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint of a training, or a state dict')
    parser.add_argument('--work-dir', help='folder for logs and results (default: work_dirs/CONFIG)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='override settings of the config, e.g. data_root=/data/nuclei')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    # torch.distributed.launch passes this one
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    config = load_config(args.config, args.cfg_options, args.work_dir)
    require_data(config, ('test', ))
    checkpoint = checkpoints.read(args.checkpoint)
    config.launcher = args.launcher
    config.load_from, config.resume = None, False  # the runner's own loading is neither strict nor safe
    runner = Runner.from_cfg(config)
    runner.call_hook('after_load_checkpoint', checkpoint=checkpoint)
    checkpoints.load(getattr(runner.model, 'module', runner.model), checkpoint, args.checkpoint)
    for name, value in runner.test().items():
        print(f'{name}: {value}')


if __name__ == '__main__':
    try:
        main()
    except InputError as error:
        sys.exit(f'error: {error}')

"""What the scripts in ``tools/`` have in common."""
from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable

from mmengine.config import Config, DictAction

from .config import load_config
from .errors import InputError


def run(main: Callable[[], None]) -> None:
    """Call ``main``; an ``InputError`` becomes one line on stderr and exit code 1, Ctrl-C exit code 130."""
    try:
        main()
    except InputError as error:
        # One that a worker of a data loader has raised comes with the worker's traceback before it.
        sys.exit(f'error: {str(error).rpartition("InputError: ")[2].strip()}')
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        sys.exit(130)


def runner_parser(description: str) -> argparse.ArgumentParser:
    """A parser with the arguments that MM's training and test scripts share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help='folder for logs and checkpoints (default: work_dirs/CONFIG)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='override settings of the config, e.g. data_root=/data/nuclei')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    # torch.distributed.launch passes this one
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    return parser


def runner_config(args: argparse.Namespace) -> Config:
    """The config that ``runner_parser``'s arguments describe."""
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    config = load_config(args.config, args.cfg_options, args.work_dir)
    config.launcher = args.launcher
    return config

"""Code shared by the scripts in ``tools/``."""
from __future__ import annotations

import argparse
import ast
import gc
import importlib
import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from mmengine.config import Config, DictAction

from .config import load_config
from .errors import InputError
from .failures import explain


def run(main: Callable[[], None]) -> None:
    """Call ``main``; turn an exception into one line on stderr and exit code 1, and Ctrl-C into exit code 130.

    With ``--debug``, which every tool accepts, exceptions keep their traceback.
    """
    debug = '--debug' in sys.argv
    sys.argv[:] = [argument for argument in sys.argv if argument != '--debug']
    os.environ.setdefault('GDAL_CACHEMAX', '128')  # MB; by default, GDAL keeps tiles in 5 % of the machine's memory
    try:
        main()
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            # A thread of gloo that frees a tensor while the interpreter exits aborts the process. The threads end with
            # the last reference to their group. Sharded models, which form cycles of references, hold some of these.
            torch.distributed.destroy_process_group()
            gc.collect()
    except InputError as error:
        if debug:
            raise
        # If a data-loader worker raised the error, the worker's traceback precedes the message.
        sys.exit(f'error: {str(error).rpartition("InputError: ")[2].strip()}')
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if debug:
            raise
        sys.exit(f'error: {explain(error)}')


def runner_parser(description: str | None) -> argparse.ArgumentParser:
    """Create a parser with the arguments that MM's training and test scripts share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help='folder for logs and checkpoints (default: work_dirs/CONFIG)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='override settings of the config, e.g. data_root=/data/nuclei')
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    # torch.distributed.launch passes this argument.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    return parser


def runner_config(args: argparse.Namespace) -> Config:
    """Load the config selected by the arguments of ``runner_parser``."""
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    config = load_config(args.config, args.cfg_options, args.work_dir)
    config.launcher = args.launcher
    write_formatter_cache()
    return config


def formatter_lock() -> Path:
    """Return the lock file for yapf's cache, which is in the user's home folder."""
    return Path(tempfile.gettempdir(), f'xcit_mm_yapf_{Path.home().name}.lock')


def write_formatter_cache() -> None:
    """Import yapf, which MMEngine uses to print configs, in only one process at a time.

    On its first import, yapf writes a cache. A process that reads the cache at that moment fails with EOFError.
    """
    with FileLock(formatter_lock()):
        importlib.import_module('yapf.yapflib.yapf_api')


def image_parser(description: str | None) -> argparse.ArgumentParser:
    """Create a parser with the arguments shared by scripts that run a trained model on images."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='file or URL of a training checkpoint or a state dict')
    parser.add_argument('inputs', nargs='+', metavar='IMAGE_OR_FOLDER')
    parser.add_argument('--out', type=Path, required=True, metavar='DIR', help='folder for the results')
    parser.add_argument('--recursive', action='store_true',
                        help='include the images in subfolders; results lie in subfolders of the same names')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu',
                        help='e.g. cuda:1 (default: %(default)s)')
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')
    parser.add_argument('--full-resolution', action='store_true',
                        help='do not resize the image, even if the config does')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='override settings of the config')
    return parser


class StatisticsAction(argparse.Action):
    """Parse ``--statistics NAME [KEY=VALUE ...]`` into a statistic's name, or into ``dict(type=name, ...)``."""

    SUMMARY = ('what the network sums over: auto, image, mixture, adaptive, local, or frozen file=FILE; KEY=VALUE sets '
               'arguments, e.g. mixture kinds=8')

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **dict(kwargs, metavar=('NAME', 'KEY=VALUE')))

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any,
                 option: str | None = None) -> None:
        name, *settings = values
        if any('=' not in setting for setting in settings):
            parser.error(f'{option} takes one name, followed by KEY=VALUE')
        arguments = {}
        for key, _, value in (setting.partition('=') for setting in settings):
            with suppress(ValueError, SyntaxError):  # if it is not a literal, keep the text
                value = ast.literal_eval(value)
            arguments[key] = value
        setattr(namespace, self.dest, dict(type=name, **arguments) if arguments else name)

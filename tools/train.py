"""Train a segmentor or a detector, depending on the config's ``default_scope``."""
import torch

from xcit_mm import checkpoints
from xcit_mm.command_line import run, runner_config, runner_parser
from xcit_mm.config import require_data
from xcit_mm.errors import InputError
from xcit_mm.training.runner import StrictRunner
from xcit_mm.training.strategy_runner import StrictFlexibleRunner


def main() -> None:
    parser = runner_parser(__doc__)
    parser.add_argument('--resume', nargs='?', const='auto', metavar='CHECKPOINT',
                        help='continue from a checkpoint (default: the latest in the work directory)')
    parser.add_argument('--amp', action='store_true', help='train in mixed precision')
    args = parser.parse_args()
    config = runner_config(args)
    require_data(config, ('train', 'val'))
    if args.resume:
        config.resume = True
        config.load_from = None if args.resume == 'auto' else args.resume
    if config.get('load_from'):
        checkpoints.require(config.load_from)
    if args.amp:
        if not torch.cuda.is_available():
            raise InputError('cannot use --amp: torch did not find a GPU; omit --amp to train in float32')
        config.optim_wrapper.type = 'AmpOptimWrapper'
        config.optim_wrapper.setdefault('loss_scale', 'dynamic')
    runner = StrictFlexibleRunner if config.get('strategy') else StrictRunner
    runner.from_cfg(config).train()


if __name__ == '__main__':
    run(main)

"""Plot a training run's loss and a validation metric from its work directory."""
import argparse
from pathlib import Path

from xcit_mm.command_line import run
from xcit_mm.training.learning_curve import plot, read


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('work_dir', type=Path, help='work directory of the training run')
    parser.add_argument('--metric', default='mIoU', help='validation metric (default: mIoU)')
    parser.add_argument('--out', type=Path, required=True, metavar='PNG', help='output file')
    args = parser.parse_args()
    plot(read(args.work_dir), args.metric, args.out)
    print(f'learning curve: {args.out}')


if __name__ == '__main__':
    run(main)

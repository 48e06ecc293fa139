"""Prepare a data set: ``python tools/prepare_dataset.py digits``."""
import argparse

from xcit_mm.command_line import run
from xcit_mm.datasets import digits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('name', choices=['digits'], help='data set')
    parser.add_argument('--root', help='folder to make (default: data/NAME)')
    args = parser.parse_args()
    root = args.root or f'data/{args.name}'
    written = digits.prepare(root)
    print(f'{args.name}: {"written to" if written else "already in"} {root}')


if __name__ == '__main__':
    run(main)

"""Prepare a data set: ``python tools/prepare_dataset.py ade20k | coco | cityscapes | loveda | nuclei | digits``."""
import argparse

from xcit_mm.command_line import run
from xcit_mm.datasets.catalogue import CATALOGUE
from xcit_mm.datasets.preparation import prepare


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('name', choices=list(CATALOGUE), help='data set')
    parser.add_argument('--root', help='folder to create (default: the one the configs read)')
    parser.add_argument('--keep-archives', action='store_true', help='keep the downloaded archives in ROOT.archives')
    args = parser.parse_args()
    dataset = CATALOGUE[args.name]
    root = args.root or dataset.root
    written = prepare(dataset, root, args.keep_archives)
    print(f'{args.name}: {"written to" if written else "already in"} {root}')


if __name__ == '__main__':
    run(main)

"""Draw time and memory against resolution from the JSON of tools/benchmark.py, and print its tables."""
import argparse
from pathlib import Path

from benchmarks.plot import plot, read
from benchmarks.table import to_markdown

from xcit_mm.command_line import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('json', type=Path, nargs='+', metavar='JSON', help='files from tools/benchmark.py')
    parser.add_argument('--out', type=Path, required=True, metavar='DIR', help='folder for the pictures')
    args = parser.parse_args()
    for path in args.json:
        environment, results = read(path)
        picture = args.out / f'{path.stem}.png'
        plot(environment, results, picture)
        print(f'{picture}\n\n{environment["command"]}\n\n{to_markdown(results)}\n')


if __name__ == '__main__':
    run(main)

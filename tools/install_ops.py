"""Give the installed mmcv its compiled ops, which mmdet needs: built once (minutes), then taken from a cache."""
import argparse

from rich.progress import Progress, TimeElapsedColumn

from xcit_mm import compiled_ops
from xcit_mm.command_line import run


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    with Progress(*Progress.get_default_columns(), TimeElapsedColumn()) as progress:
        task = progress.add_task("compiling mmcv's ops", total=None)
        wheel = compiled_ops.install(lambda done, total: progress.update(task, completed=done, total=total))
    print(f'installed {wheel}' if wheel else "mmcv's ops are there already")


if __name__ == '__main__':
    run(main)

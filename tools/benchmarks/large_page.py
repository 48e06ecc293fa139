"""Write the page of a large synthetic scene; print the time, the memory, and the number and size of the files.

The scene is a smooth relief with noise; each of its 150 classes is a range of heights, so many regions are thin.
"""
import argparse
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch

from xcit_mm.inference.results import ResultMeta, build_sinks, write_labels

CLASSES, CELL = 150, 40  # CELL: distance between the random heights, px
ROWS = 128  # at once


class Scene:
    """A square scene, ``side`` px high and wide, made a few rows at a time."""

    def __init__(self, side: int) -> None:
        self.side = side
        self.heights = np.random.default_rng(0).standard_normal((side // CELL + 2, side // CELL + 2), np.float32)

    def bands(self) -> Iterator[np.ndarray]:
        """Yield heights (rows, W) float32, with mean 0 and standard deviations up to 1."""
        for start in range(0, self.side, ROWS):
            position = np.arange(start, min(start + ROWS, self.side), dtype=np.float32)[:, None] / CELL
            above = position[:, 0].astype(int)
            rows = self.heights[above] + (position - above[:, None]) * (self.heights[above + 1] - self.heights[above])
            yield cv2.resize(rows, (self.side, len(rows)), interpolation=cv2.INTER_LINEAR)

    def labels(self) -> Iterator[torch.Tensor]:
        for heights in self.bands():
            yield torch.from_numpy((heights * 22 + CLASSES / 2).clip(0, CLASSES - 1).astype(np.uint8))

    def image(self) -> Iterator[np.ndarray]:
        random = np.random.default_rng(1)
        for heights in self.bands():
            noise = random.standard_normal(heights.shape, np.float32)
            grey = (110 + 30 * heights + 10 * noise).clip(0, 255).astype(np.uint8)
            yield np.repeat(grey[..., None], 3, axis=2)


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--side', type=int, default=10000, help='height and width, px (default: %(default)s)')
    scene = Scene(parser.parse_args().side)
    palette = np.random.default_rng(2).integers(30, 256, (CLASSES, 3)).tolist()
    names = [f'class {index}' for index in range(CLASSES)]
    meta = ResultMeta('scene', scene.side, scene.side, names, palette, scene.image)
    begin = time.perf_counter()
    for _ in zip(scene.labels(), scene.image()):  # how long does it take to make the scene, and in how much memory?
        pass
    making, before = time.perf_counter() - begin, peak_bytes()
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        write_labels(build_sinks(['page']), Path(folder), scene.labels(), meta)
        seconds = time.perf_counter() - begin - making
        sizes = [path.stat().st_size for path in Path(folder).rglob('*') if path.is_file()]
    print(f'{scene.side} x {scene.side} px: {seconds:.1f} s, {(peak_bytes() - before) / 1e6:.0f} MB of memory, '
          f'{len(sizes)} files of {sum(sizes) / 1e6:.0f} MB')


if __name__ == '__main__':
    main()

"""Segment a large sparse GeoTIFF with tools/infer.py; print the time, the peak memory, and checks of the results.

The raster has four 16-bit bands in EPSG:25832 and the nodata value 0. Only the tiles on its diagonal are stored, with
random values, so the file is small, but the data reach from corner to corner: the network runs on all pixels. The
polygons are compared with those that rasterio makes from the whole label map.
"""
import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import pyogrio
import rasterio
import shapely
import torch
from rasterio.features import shapes
from rasterio.transform import from_origin
from rasterio.windows import Window
from rio_cogeo.cogeo import cog_validate

from xcit_mm.apis import init_model
from xcit_mm.config import load_config

TOOLS = Path(__file__).resolve().parents[1]
BANDS, TILE, PIXEL = 4, 512, 0.2  # PIXEL: side of a pixel, metres
MEAN, STD = 32768.0, 18918.0  # of uniform 16-bit values
CHANGES = {'model.backbone.in_channels': BANDS, 'model.data_preprocessor.mean': [MEAN] * BANDS,
           'model.data_preprocessor.std': [STD] * BANDS}


def create(path: Path, side: int) -> None:
    """Create the raster, ``side`` px high and wide."""
    random = np.random.default_rng(0)
    with rasterio.open(path, 'w', driver='GTiff', count=BANDS, height=side, width=side, dtype='uint16', nodata=0,
                       crs='EPSG:25832', transform=from_origin(500000, 5400000, PIXEL, PIXEL), tiled=True,
                       blockxsize=TILE, blockysize=TILE, sparse_ok=True) as file:
        for start in range(0, side, TILE):
            size = min(TILE, side - start)
            values = random.integers(1, 2**16, (BANDS, size, size), 'uint16')
            file.write(values, window=Window(start, start, size, size))


def segment(config: Path, image: Path, folder: Path) -> None:
    """Run tools/infer.py with random weights, and print what it took."""
    torch.manual_seed(0)
    torch.save(init_model(load_config(config, CHANGES)).state_dict(), checkpoint := folder / 'random.pth')
    command = [sys.executable, TOOLS / 'infer.py', config, checkpoint, image, '--out', folder / 'results',
               '--polygons', '--cfg-options', *(f'{key}={value}' for key, value in CHANGES.items())]
    begin = time.perf_counter()
    subprocess.run(list(map(str, command)), check=True)
    seconds, peak = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    print(f'{seconds:.0f} s, peak memory of the process {peak / 1e9:.2f} GB')


def check(image: Path, folder: Path) -> None:
    """Compare the results with the image and with rasterio's polygons, and print the outcome."""
    labels = folder / f'{image.stem}_classes.tif'
    valid, errors, warnings = cog_validate(labels)
    print(f'cloud-optimised: {valid} {errors or ""}{warnings or ""}')
    with rasterio.open(image) as old, rasterio.open(labels) as new:
        print(f'CRS kept: {old.crs == new.crs}, transform kept: {old.transform == new.transform}, '
              f'nodata: {new.nodata}, colours: {len(new.colormap(1))}')
        values, stored = new.read(1), old.read(1, masked=True)
        print(f'pixels without data marked: {np.array_equal(values == 255, np.ma.getmaskarray(stored))}')
    _, _, _, (classes, areas) = pyogrio.raw.read(labels.with_suffix('.gpkg'), columns=['class', 'area'])
    expected: dict[int, list[float]] = defaultdict(list)
    for polygon, value in shapes(values, mask=np.isin(values, classes)):  # the background has no polygons
        expected[int(value)].append(shapely.geometry.shape(polygon).area * PIXEL**2)
    for value, theirs in sorted(expected.items()):
        ours = areas[classes == value]
        print(f'class {value}: {len(ours)} polygons, by rasterio {len(theirs)}; relative difference of their areas '
              f'{abs(ours.sum() / sum(theirs) - 1):.0e}')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', type=Path, nargs='?', default=TOOLS.parent / 'configs/xcit_upernet_raster.py')
    parser.add_argument('--side', type=int, default=10000, help='height and width, px (default: %(default)s)')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        create(image := folder / 'sparse.tif', args.side)
        print(f'{args.side} x {args.side} px, {image.stat().st_size / 1e6:.0f} MB on disk')
        segment(args.config, image, folder)
        check(image, folder / 'results')


if __name__ == '__main__':
    main()

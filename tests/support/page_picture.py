"""Draw the picture of a page in the documentation: python tests/support/page_picture.py docs/page.png

The raster is a mosaic of ``digits`` scenes, and the labels are their own, so no network is needed.
"""
import sys
import tempfile
from pathlib import Path

import numpy as np
import rasterio
import torch
from browser import ShownPage, running_chromium
from PIL import Image

from xcit_mm.config import load_config
from xcit_mm.datasets import digits
from xcit_mm.inference.results import ResultMeta, build_sinks, write_labels
from xcit_mm.inference.sources import GeoReference

ROWS, COLUMNS = 12, 16  # scenes
PIXEL = 0.2  # m


def mosaic(pictures):
    """Join the pictures of all scenes."""
    return np.concatenate([np.concatenate(pictures[row * COLUMNS:(row + 1) * COLUMNS], 1) for row in range(ROWS)])


def main(picture: str) -> None:
    scenes = list(digits.compose_scenes('val', ROWS * COLUMNS))
    image, labels = mosaic([scene.image for scene in scenes]), mosaic([scene.mask for scene in scenes])
    place = GeoReference(rasterio.CRS.from_epsg(25832).to_wkt(), (PIXEL, 0.0, 5e5, 0.0, -PIXEL, 5.5e6))
    known = load_config('configs/xcit_upernet_digits.py').metainfo
    meta = ResultMeta('digits', *labels.shape, known.classes, known.palette, lambda: [image], place)
    with tempfile.TemporaryDirectory() as folder, running_chromium(1040, 720) as browser:
        write_labels(build_sinks(['page']), Path(folder), [torch.from_numpy(labels)], meta)
        page = ShownPage(browser, Path(folder, 'digits_page/index.html'))
        browser.execute_script('viewer.viewport.zoomBy(2.5, viewer.viewport.getCenter(), true)')
        colors = Image.fromarray(page.screenshot()).quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=1)
        colors.save(picture, optimize=True)


if __name__ == '__main__':
    main(*sys.argv[1:])

"""Draw the picture of a page in the documentation: python tests/support/page_picture.py CHECKPOINT docs/page.png

The checkpoint is that of `make demo`. The raster is a mosaic of scenes that the network has not seen.
"""
import sys
import tempfile
from pathlib import Path

import numpy as np
from browser import ShownPage, running_chromium
from PIL import Image
from rasterio.transform import from_origin
from rasters import write_raster

from xcit_mm.apis import init_model, segment_file
from xcit_mm.datasets.digits import compose_scenes

ROWS, COLUMNS = 12, 16  # scenes


def main(checkpoint: str, picture: str) -> None:
    scenes = [scene.image for scene in compose_scenes('val', ROWS * COLUMNS)]
    mosaic = np.concatenate([np.concatenate(scenes[row * COLUMNS:(row + 1) * COLUMNS], 1) for row in range(ROWS)])
    model = init_model('configs/xcit_upernet_digits.py', checkpoint)
    with tempfile.TemporaryDirectory() as folder:
        path = write_raster(Path(folder, 'digits.tif'), mosaic.transpose(2, 0, 1), crs='EPSG:25832',
                            transform=from_origin(5e5, 5.5e6, 0.2, 0.2))
        segment_file(model, path, folder, sinks=['page'])
        with running_chromium(1200, 820) as browser:
            page = ShownPage(browser, Path(folder, 'digits_page/index.html'))
            browser.execute_script('viewer.viewport.zoomBy(2.2, viewer.viewport.getCenter(), true)')
            Image.fromarray(page.screenshot()).quantize(256).save(picture, optimize=True)


if __name__ == '__main__':
    main(*sys.argv[1:])

"""Overlays of large files show some of their rows and columns."""
import numpy as np
import pytest
import tifffile
from PIL import Image
from rasters import random_bands, write_raster
from segmentors import build

from xcit_mm.apis import segment_file
from xcit_mm.config_contents import find_test_dataset
from xcit_mm.inference.results import thinning

AS_STORED = dict(imdecode_backend='tifffile')


@pytest.mark.parametrize('dtype, loader', [('uint8', dict()), ('float32', AS_STORED)], ids=str)
def test_an_overlay_of_a_large_raster_is_thinned(tmp_path, monkeypatch, dtype, loader):
    model = build()
    find_test_dataset(model.cfg).pipeline[0].update(loader)
    monkeypatch.setattr(thinning, 'SHOWN', 151)
    bands = random_bands(3, dtype)
    bands[:, :, :30] = -9999 if loader else 0
    path = write_raster(tmp_path / 'a.tif', bands, nodata=bands[0, 0, 0])
    segment_file(model, path, tmp_path, sinks=['overlay', 'tiff'])
    with Image.open(tmp_path / 'a_overlay.png') as file:
        overlay = np.asarray(file)[:151, :71]
    labels, shown = tifffile.imread(tmp_path / 'a_classes.tif'), thinning.Thinning(301, 141)
    labels = labels[shown.rows][:, shown.columns]
    image = bands[:, shown.rows][:, :, shown.columns].transpose(1, 2, 0)
    assert labels.shape == (151, 71) and len(np.unique(labels)) > 2
    valid = labels < 255
    low, high = (0, 255) if dtype == 'uint8' else (image[valid].min(), image[valid].max())
    image = (image - low) * (255 / (high - low))
    has_color = valid & (labels > 0)
    image[has_color] = (image[has_color] + np.asarray(model.dataset_meta['palette'])[labels[has_color]]) / 2
    image[~valid] = 0
    assert np.abs(overlay - image).max() < 2

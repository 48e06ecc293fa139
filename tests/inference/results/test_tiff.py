"""Labels are written as tiled TIFF files with colours and the georeference of the image."""
import numpy as np
import pytest
import tifffile
import torch

from xcit_mm.inference.results import ResultMeta, TiffLabels
from xcit_mm.inference.sources import TiffFile

SCALE, TIE, KEYS = (0.5, 0.5, 0.0), (0, 0, 0, 440720.0, 100000.0, 0), (1, 1, 0, 1, 3072, 0, 1, 32601)
NUMBERS, NAMES = (6378137.0, 298.25), 'WGS 84 / UTM 30N|WGS 84|'
PLACE = [(33550, 12, 3, SCALE, True), (33922, 12, 6, TIE, True), (34735, 3, 8, KEYS, True),
         (34736, 12, 2, NUMBERS, True), (34737, 2, len(NAMES) + 1, NAMES, True)]


@pytest.mark.parametrize('number', [11, 300])
def test_labels_have_the_georeference_of_the_image(tmp_path, number):
    image = np.zeros((301, 141, 3), np.uint8)
    tifffile.imwrite(tmp_path / 'a.tif', image, photometric='rgb', extratags=PLACE)
    labels = torch.from_numpy(np.random.default_rng(1).integers(0, number, image.shape[:2]))
    labels = labels.to(torch.uint8 if number <= 256 else torch.int16)
    palette = np.random.default_rng(2).integers(0, 256, (number, 3)).tolist()
    with TiffFile(tmp_path / 'a.tif') as source:
        meta = ResultMeta('b', 301, 141, list(map(str, range(number))), palette, lambda: image, labels.dtype,
                          source.georeference)
    TiffLabels().write_labels(tmp_path, labels.split(37), meta)
    with tifffile.TiffFile(tmp_path / 'b_classes.tif') as file:
        page = file.pages[0]
        assert np.array_equal(page.asarray(), labels.numpy()) and page.is_tiled
        assert [page.tags[code].value for code, *_ in PLACE] == [SCALE, TIE, KEYS, NUMBERS, NAMES]
        if number <= 256:
            assert (page.colormap[:, 5] // 257).tolist() == palette[5]

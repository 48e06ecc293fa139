import json

import numpy as np
import pytest

from xcit_mm.datasets.scenes import Scene, write_split


@pytest.mark.parametrize('mask, counts, box', [
    ([[0, 0, 0], [0, 1, 1]], [3, 1, 1, 1], [1, 1, 2, 1]),
    ([[1, 0, 0], [1, 0, 0]], [0, 2, 4], [0, 0, 1, 2]),
    ([[1, 1, 1], [1, 1, 1]], [0, 6], [0, 0, 3, 2]),
])
def test_instances_follow_the_coco_format(tmp_path, mask, counts, box):
    mask = np.array(mask, bool)
    scene = Scene(np.zeros((2, 3, 3), np.uint8), mask.astype(np.uint8), [(1, mask)])
    write_split(tmp_path, 'val', [scene], ('background', 'thing'))
    coco = json.loads((tmp_path / 'annotations/instances_val.json').read_text())
    assert coco['images'] == [dict(id=1, file_name='00000.png', height=2, width=3)]
    assert coco['categories'] == [dict(id=1, name='thing')]
    assert coco['annotations'] == [dict(
        id=1, image_id=1, category_id=1, iscrowd=0, area=int(mask.sum()), bbox=box,
        segmentation=dict(size=[2, 3], counts=counts))]
    assert (tmp_path / 'images/val/00000.png').is_file() and (tmp_path / 'masks/val/00000.png').is_file()

import io
import json
import zipfile

import numpy as np
from archive_server import zipped
from PIL import Image
from small_archives import bowl_entries, png

from xcit_mm.datasets import nuclei


def test_every_fifth_small_image_is_held_out(tmp_path):
    members = bowl_entries(11)
    large = png(np.zeros((40, nuclei.LARGEST + 1, 4), np.uint8))
    empty = png(np.zeros((40, 41), np.uint8))  # a mask without a nucleus
    members |= {'00aa/images/00aa.png': large, '03ab/masks/none.png': empty, '__MACOSX/._a.png': b'x'}
    with zipfile.ZipFile(io.BytesIO(zipped(members))) as file:
        nuclei.convert(file, tmp_path)
    names = {split: sorted(path.stem for path in (tmp_path / 'images' / split).iterdir()) for split in ('train', 'val')}
    assert names['val'] == ['04ab', '09ab'] and len(names['train']) == 9 and '00aa' not in names['train']
    for split in names:
        coco = json.loads((tmp_path / f'annotations/instances_{split}.json').read_text())
        assert [image['file_name'] for image in coco['images']] == [f'{name}.png' for name in names[split]]
        assert [one['area'] for one in coco['annotations']] == [6, 16] * len(names[split])
        assert coco['annotations'][0]['bbox'] == [2, 1, 3, 2] and coco['categories'] == [dict(id=1, name='nucleus')]
        for name in names[split]:
            image = np.asarray(Image.open(tmp_path / 'images' / split / f'{name}.png'))
            assert image.shape == (40, 41, 3) and (image == int(name[:2])).all()
            mask = np.asarray(Image.open(tmp_path / 'masks' / split / f'{name}.png'))
            assert mask.sum() == 22 and set(np.unique(mask)) == {0, 1}

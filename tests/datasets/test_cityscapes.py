import numpy as np
import pytest
from mmseg.datasets import CityscapesDataset
from PIL import Image

from xcit_mm.datasets.cityscapes import TRAINED, make_train_ids
from xcit_mm.errors import InputError


def test_masks_map_ids_to_training_classes(tmp_path):
    folder = tmp_path / 'gtFine/val/ulm'
    folder.mkdir(parents=True)
    ids = np.arange(34, dtype=np.uint8).reshape(2, 17)
    for name in ('a', 'b'):
        Image.fromarray(ids).save(folder / f'{name}_gtFine_labelIds.png')
    (folder / 'b_gtFine_labelTrainIds.png').write_text('existing mask')
    make_train_ids(tmp_path)
    made = np.asarray(Image.open(folder / 'a_gtFine_labelTrainIds.png')).ravel()
    classes = CityscapesDataset.METAINFO['classes']
    assert {classes[label]: number for number, label in enumerate(made) if label != 255} == dict(zip(classes, TRAINED))
    assert len(TRAINED) == len(classes) and made[[0, 9, 29]].tolist() == [255, 255, 255]
    assert made[[7, 26, 33]].tolist() == [classes.index(name) for name in ('road', 'car', 'bicycle')]
    assert (folder / 'b_gtFine_labelTrainIds.png').read_text() == 'existing mask'
    assert len(list(folder.iterdir())) == 4


def test_error_names_an_unreadable_mask(tmp_path):
    path = tmp_path / 'gtFine/val/ulm/a_gtFine_labelIds.png'
    path.parent.mkdir(parents=True)
    path.write_bytes(b'damaged')
    with pytest.raises(InputError, match='cannot read .*/a_gtFine_labelIds.png: '):
        make_train_ids(tmp_path)
    assert list(path.parent.iterdir()) == [path]

import cv2
import numpy as np
import pytest
from PIL import Image

from xcit_mm.errors import InputError
from xcit_mm.predictions import find_images, write_segmentation

META = dict(classes=('background', 'nucleus'), palette=[[0, 0, 0], [255, 0, 0]])


def test_finds_files_and_the_images_of_folders(tmp_path):
    for name in ('b.png', 'a.JPG', 'notes.txt'):
        (tmp_path / name).touch()
    assert [path.name for path in find_images([tmp_path])] == ['a.JPG', 'b.png']
    assert find_images([tmp_path / 'b.png']) == [tmp_path / 'b.png']


def test_inputs_without_an_image_are_named(tmp_path):
    with pytest.raises(InputError, match='no images in the folder'):
        find_images([tmp_path])
    with pytest.raises(InputError, match='no image or folder .*none'):
        find_images([tmp_path / 'none'])
    for name in ('a.png', 'a.jpg'):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match='both be written as a'):
        find_images([tmp_path])


@pytest.mark.parametrize('size', [(40, 60), (300, 500)])
def test_writes_class_indices_and_an_overlay(tmp_path, size):
    image = np.full((*size, 3), (200, 100, 0), np.uint8)  # BGR
    labels = np.zeros(size, np.int64)
    labels[10:20, 5:25] = 1
    write_segmentation(tmp_path / 'out', 'photo', image, labels, META)
    assert np.array_equal(np.asarray(Image.open(tmp_path / 'out/photo_classes.png')), labels)
    overlay = cv2.imread(str(tmp_path / 'out/photo_overlay.png'))
    assert overlay[0, 0].tolist() == [200, 100, 0]  # background as it was
    assert overlay[15, 10].tolist() == [100, 50, 127]
    legend = overlay[size[0]:]
    assert (legend == (0, 0, 255)).all(axis=2).any()  # the colour of the nucleus, and its name beside it
    assert (legend == 0).all(axis=2).any()
    assert len(list((tmp_path / 'out').iterdir())) == 2


def test_unwritable_folders_are_named(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(InputError, match='cannot write to'):
        write_segmentation(tmp_path / 'file', 'photo', np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), int), META)

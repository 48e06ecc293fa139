"""PNG sinks write label maps and overlays."""
import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from xcit_mm.errors import InputError
from xcit_mm.inference.results import ResultMeta, build_sinks, write_labels

CLASSES, PALETTE = ('background', 'nucleus'), [[0, 0, 0], [255, 0, 0]]


def write(folder, image, labels, classes=CLASSES, palette=PALETTE):
    meta = ResultMeta('photo', *labels.shape, classes, palette, lambda: [image[..., ::-1]])
    write_labels(build_sinks(['png', 'overlay']), folder, torch.from_numpy(labels).split(7), meta)


@pytest.mark.parametrize('size', [(40, 60), (300, 500)])
def test_writes_class_indices_and_an_overlay(tmp_path, size):
    image = np.full((*size, 3), (200, 100, 0), np.uint8)  # BGR
    labels = np.zeros(size, np.int64)
    labels[10:20, 5:25] = 1
    write(tmp_path / 'out', image, labels)
    assert np.array_equal(np.asarray(Image.open(tmp_path / 'out/photo_classes.png')), labels)
    overlay = cv2.imread(str(tmp_path / 'out/photo_overlay.png'))
    assert overlay[0, 0].tolist() == [200, 100, 0]  # background is unchanged
    assert overlay[15, 10].tolist() == [100, 50, 128]
    legend = overlay[size[0]:]
    assert (legend == (0, 0, 255)).all(axis=2).any()  # the colour of the nucleus, next to its name
    assert (legend == 0).all(axis=2).any()
    colors = Image.open(tmp_path / 'out/photo_palette.png')
    assert np.array_equal(np.asarray(colors), labels) and colors.convert('RGB').getpixel((10, 15)) == (255, 0, 0)
    assert len(list((tmp_path / 'out').glob('photo_*'))) == 3


def test_many_classes_keep_their_indices(tmp_path):
    labels = np.array([[0, 299]])
    write(tmp_path, np.zeros((1, 2, 3), np.uint8), labels, list(map(str, range(300))), [[9, 9, 9]] * 300)
    assert np.array_equal(cv2.imread(str(tmp_path / 'photo_classes.png'), cv2.IMREAD_UNCHANGED), labels)
    assert not (tmp_path / 'photo_palette.png').exists()


def test_error_names_an_unwritable_folder(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(InputError, match='cannot write to the folder .*file: '):
        write(tmp_path / 'file', np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), int))


def test_pixels_without_data_are_black_in_the_palette(tmp_path):
    write(tmp_path, np.zeros((2, 3, 3), np.uint8), np.array([[0, 1, 255]] * 2), palette=[[9, 9, 9], [255, 0, 0]])
    colors = Image.open(tmp_path / 'photo_palette.png')
    assert np.asarray(colors.convert('RGB'))[0].tolist() == [[9, 9, 9], [255, 0, 0], [0, 0, 0]]
    assert np.asarray(colors)[0].tolist() == [0, 1, 255]

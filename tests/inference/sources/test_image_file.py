import os

import cv2
import numpy as np
import pytest

from xcit_mm.errors import InputError
from xcit_mm.inference.sources import find_images, read_image


def test_find_images_returns_each_file_once(tmp_path):
    for name in ('b.png', 'a.JPG', 'notes.txt'):
        (tmp_path / name).touch()
    assert [path.name for path in find_images([tmp_path])] == ['a.JPG', 'b.png']
    again = tmp_path / 'x/../b.png'
    (tmp_path / 'x').mkdir()
    assert [path.name for path in find_images([tmp_path / 'b.png', again, tmp_path])] == ['b.png', 'a.JPG']
    (tmp_path / 'link.png').symlink_to(tmp_path / 'b.png')
    assert [path.name for path in find_images([tmp_path])] == ['a.JPG', 'b.png', 'link.png']


def test_error_names_inputs_without_an_image(tmp_path):
    with pytest.raises(InputError, match='no images in the folder'):
        find_images([tmp_path])
    with pytest.raises(InputError, match='no image or folder .*none'):
        find_images([tmp_path / 'none'])
    for name in ('a.png', 'a.jpg'):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match='both be written as a'):
        find_images([tmp_path])


def test_error_names_a_file_whose_name_is_not_text(tmp_path):
    try:
        open(os.fsencode(tmp_path) + b'/\xff.png', 'wb').close()
    except OSError:
        pytest.skip('the file system does not allow such names')
    with pytest.raises(InputError, match=r'xff.png.: its name is not valid UTF-8, .*; rename it'):
        find_images([tmp_path])


def test_read_image_passes_arguments_to_the_decoder(tmp_path):
    array = np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / 'a.png'), array)
    assert np.array_equal(read_image(tmp_path / 'a.png'), array)
    assert read_image(tmp_path / 'a.png', color_type='grayscale').shape == (20, 30)


@pytest.mark.parametrize('backend', ['cv2', 'pillow'])
@pytest.mark.parametrize('content', [b'', b'not an image'])
def test_error_names_a_damaged_file(tmp_path, backend, content):
    (tmp_path / 'a.png').write_bytes(content)
    with pytest.raises(InputError, match='a.png: it is damaged or not an image'):
        read_image(tmp_path / 'a.png', imdecode_backend=backend)


def test_error_names_an_unreadable_file(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, 'Permission denied')

    (tmp_path / 'a.png').touch()
    monkeypatch.setattr('pathlib.Path.read_bytes', refuse)
    with pytest.raises(InputError, match='a.png: Permission denied'):
        read_image(tmp_path / 'a.png')

"""Both ways of reading a damaged image file give equal pixels, or both fail with a one-line error naming the file."""
import numpy as np
import pytest
from fuzzing import damaged
from hypothesis import given
from hypothesis import strategies as st
from image_variants import VARIANTS

from xcit_mm.errors import InputError
from xcit_mm.inference.sources import open_source, read_image

NAMES = sorted(VARIANTS)


@pytest.fixture(scope='module')
def originals(tmp_path_factory):
    folder, contents = tmp_path_factory.mktemp('originals'), {}
    for name in NAMES:
        path = folder / f'image.{name.split()[0]}'
        VARIANTS[name][0](path)
        contents[name] = path.read_bytes()
    return contents


def attempt(read, path):
    """Return the pixels of a file, or None if it is refused."""
    try:
        return read(path)
    except InputError as error:
        assert len(str(error).splitlines()) == 1 and path.name in str(error), error
        return None


def read_rows(path):
    with open_source(path) as source:
        reader = source.reader()
        return np.concatenate([reader.read(start, min(start + 7, source.height)).numpy().copy()
                               for start in range(0, source.height, 7)])


@given(st.data())
def test_damaged_files_are_equal_on_every_path_or_refused(originals, tmp_path_factory, data):
    name = data.draw(st.sampled_from(NAMES))
    suffix = name.split()[0] if name.split()[0] in ('tiff', 'png', 'jpeg', 'bmp', 'webp') else 'png'
    path = tmp_path_factory.getbasetemp() / f'damaged.{suffix}'
    path.write_bytes(data.draw(damaged(originals[name])))
    pixels = attempt(read_image, path)
    if pixels is not None:
        assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3
    rows = attempt(read_rows, path)
    assert (rows is None) == (pixels is None)
    if rows is not None:
        np.testing.assert_array_equal(rows, pixels)

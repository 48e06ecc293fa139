"""File errors are also instances of the OSErrors that callers would expect from Python's own functions."""
import errno
import os
import pickle
from pathlib import Path

import pytest

from xcit_mm.config import config_path, load_config
from xcit_mm.errors import DeniedInputError, InputError, MissingInputError, UnreadableImageError, file_error
from xcit_mm.files import complete_file, complete_folder
from xcit_mm.inference.sources import find_images, open_source, read_image


@pytest.mark.parametrize('call', [
    lambda: load_config('none.py'), lambda: config_path('none.py'), lambda: find_images(['none']),
    lambda: read_image('none.png'), lambda: open_source(Path('none.tif'))])
def test_a_missing_file_is_both_kinds_of_error(call, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for kind in (InputError, FileNotFoundError):
        with pytest.raises(kind, match='none'):
            call()


def test_a_missing_image_is_also_an_unreadable_one():
    with pytest.raises(UnreadableImageError):
        read_image('none.png')


@pytest.mark.parametrize('write', [complete_file, complete_folder])
def test_a_file_that_cannot_be_written_is_both_kinds_of_error(write, tmp_path):
    (tmp_path / 'file').touch()
    for kind in (InputError, OSError):
        with pytest.raises(kind, match='cannot (write|create)') as raised:
            with write(tmp_path / 'file/new'):
                pass
    assert raised.value.errno in (errno.ENOTDIR, errno.EEXIST)


@pytest.mark.parametrize('write', [complete_file, complete_folder])
def test_an_error_about_another_file_keeps_its_message(write, tmp_path):
    with pytest.raises(MissingInputError, match='no image file other.png'):
        with write(tmp_path / 'new'):
            raise MissingInputError('no image file other.png')


@pytest.mark.parametrize('code, kind', [(errno.ENOENT, MissingInputError), (errno.EACCES, DeniedInputError),
                                        (errno.ENOSPC, InputError)])
def test_an_error_keeps_the_kind_and_the_number_of_its_cause(code, kind):
    error = file_error('cannot write x', OSError(code, os.strerror(code)))
    assert isinstance(error, kind) and error.errno == code and str(error) == 'cannot write x'
    assert str(pickle.loads(pickle.dumps(error))) == 'cannot write x'  # as when a data loader's worker raises it

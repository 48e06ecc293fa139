import os

import pytest

from xcit_mm.files import complete_file, size_and_time


def test_interrupted_write_keeps_the_old_file(tmp_path):
    (tmp_path / 'a').write_text('old')
    with pytest.raises(KeyboardInterrupt), complete_file(tmp_path / 'a') as file:
        file.write_text('half')
        raise KeyboardInterrupt
    assert (tmp_path / 'a').read_text() == 'old' and [path.name for path in tmp_path.iterdir()] == ['a']
    with complete_file(tmp_path / 'a') as file:
        file.write_text('new')
    assert (tmp_path / 'a').read_text() == 'new'


def test_size_and_time_of_a_folder_follow_its_files(tmp_path):
    (tmp_path / 'image.zarr/0').mkdir(parents=True)
    for name in ('0/0', '0/1'):
        (tmp_path / 'image.zarr' / name).write_text(name)
        os.utime(tmp_path / 'image.zarr' / name, ns=(0, 7))
    assert size_and_time(tmp_path / 'image.zarr') == (6, 7)
    os.utime(tmp_path / 'image.zarr/0/1', ns=(0, 9))
    assert size_and_time(tmp_path / 'image.zarr') == (6, 9)
    assert size_and_time(tmp_path / 'none') == (0, 0)

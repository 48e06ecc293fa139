import pytest

from xcit_mm.files import complete_file


def test_interrupted_write_keeps_the_old_file(tmp_path):
    (tmp_path / 'a').write_text('old')
    with pytest.raises(KeyboardInterrupt), complete_file(tmp_path / 'a') as file:
        file.write_text('half')
        raise KeyboardInterrupt
    assert (tmp_path / 'a').read_text() == 'old' and [path.name for path in tmp_path.iterdir()] == ['a']
    with complete_file(tmp_path / 'a') as file:
        file.write_text('new')
    assert (tmp_path / 'a').read_text() == 'new'

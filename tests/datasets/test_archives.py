import os
import stat
import zipfile

import pytest
from archive_server import zipped

from xcit_mm.datasets.archives import Archive, unpack
from xcit_mm.errors import InputError

MOVES = {'Train/Rural/': 'images/train/', 'Train/Urban/': 'images/train/'}
MEMBERS = {'Train/Rural/0.png': b'rural', 'Train/Urban/1.png': b'urban', 'Train/licence.txt': b'text',
           'Train/Sea/': b''}


@pytest.fixture
def unpack_members(tmp_path):
    def run(content):
        (tmp_path / 'Train.zip').write_bytes(content)
        (tmp_path / 'out').mkdir()
        unpack(Archive('Train.zip', None, moves=MOVES), tmp_path / 'Train.zip', tmp_path / 'out')

    return run


def test_unpack_moves_wanted_files_and_leaves_out_others(unpack_members, tmp_path):
    unpack_members(zipped(MEMBERS))
    files = {str(path.relative_to(tmp_path / 'out')): path.read_bytes()
             for path in (tmp_path / 'out').rglob('*') if path.is_file()}
    assert files == {'images/train/0.png': b'rural', 'images/train/1.png': b'urban'}


def link():
    member = zipfile.ZipInfo('Train/Rural/2.png')
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    return member


@pytest.mark.parametrize('name', ['../evil', '/evil', 'Train/Rural/../../../evil', link()])
def test_unpack_refuses_entries_that_leave_the_folder(unpack_members, tmp_path, name):
    with pytest.raises(InputError, match='unpack .*Train.zip: its entry .*(evil|2.png) is a link or points outside'):
        unpack_members(zipped(MEMBERS | {name: b'/etc/passwd'}))
    assert sorted(os.listdir(tmp_path)) == ['Train.zip', 'out'] and os.listdir(tmp_path / 'out') == []


@pytest.mark.parametrize('name', ['Set//tmp/evil', 'Set//'])
def test_unpack_refuses_names_that_are_unsafe_without_their_prefix(tmp_path, name):
    (tmp_path / 'a.zip').write_bytes(zipped({name + 'evil.png': b'evil'}))
    with pytest.raises(InputError, match='a.zip: its entry Set//.*evil.png is a link or points outside the folder'):
        unpack(Archive('a.zip', None, moves={'Set/': ''}), tmp_path / 'a.zip', tmp_path / 'out')
    assert os.listdir(tmp_path) == ['a.zip']


@pytest.mark.parametrize('damage', [
    lambda content: content.replace(b'urban', b'urbaN', 1), lambda content: content[:100], lambda content: b'<html>'])
def test_error_names_a_damaged_archive(unpack_members, damage):
    with pytest.raises(InputError, match='cannot unpack .*/Train.zip: it is damaged .*; remove it and run again'):
        unpack_members(damage(zipped(MEMBERS)))

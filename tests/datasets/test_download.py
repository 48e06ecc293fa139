import hashlib
import os
import resource
import shutil

import pytest

from xcit_mm.datasets.archives import Archive
from xcit_mm.datasets.download import download, require_space
from xcit_mm.errors import InputError

CONTENT = os.urandom(600_000)


@pytest.fixture
def archive(server):
    server.files['/images.zip'] = CONTENT
    return Archive('images.zip', f'{server.url}/images.zip', f'md5:{hashlib.md5(CONTENT).hexdigest()}')


@pytest.fixture
def largest_file():
    """Files cannot grow beyond so many bytes while the test runs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size or soft, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_goes_on_where_the_connection_broke(server, archive, tmp_path):
    server.cuts = [200_000, 100_000]
    assert download(archive, tmp_path).read_bytes() == CONTENT
    first, second, third = server.gets()
    held = [int(one.range.removeprefix('bytes=').removesuffix('-')) for one in (second, third)]
    assert first.range is None and 0 < held[0] <= 200_000 and held[0] < held[1] <= held[0] + 100_000
    assert third.sent == len(CONTENT) - held[1]
    assert sorted(os.listdir(tmp_path)) == ['.images.zip.downloaded', 'images.zip']
    download(archive, tmp_path)
    assert len(server.gets()) == 3  # it is there


def test_another_file_that_the_user_has_put_there_is_left_alone(server, archive, tmp_path):
    (tmp_path / 'images.zip').write_bytes(b'another one')
    with pytest.raises(InputError, match='images.zip is not the file that is known: .*; remove it to have it'):
        download(archive, tmp_path)
    assert (tmp_path / 'images.zip').read_bytes() == b'another one' and server.gets() == []


def test_an_attempt_that_brings_nothing_ends_it_and_the_next_run_goes_on(server, archive, tmp_path):
    server.cuts = [300_000, 0]
    with pytest.raises(InputError, match='cannot download http.*images.zip: .*; run again to go on') as error:
        download(archive, tmp_path)
    assert '\n' not in str(error.value) and not (tmp_path / 'images.zip').exists()
    assert download(archive, tmp_path).read_bytes() == CONTENT
    assert [bool(one.range) for one in server.gets()] == [False, True, True] and server.gets()[-1].sent < 400_000


@pytest.mark.parametrize('change', [
    dict(knows_range=False), dict(version={}), dict(version=dict(ETag='W/"1"')), dict(version=dict(ETag='"2"'))])
def test_begins_anew_where_going_on_would_be_wrong(server, archive, tmp_path, change):
    server.cuts = [300_000, 0]
    with pytest.raises(InputError):
        download(archive, tmp_path)
        download(archive, tmp_path)
    server.cuts = []
    for name, value in change.items():
        setattr(server, name, value)
    assert download(archive, tmp_path).read_bytes() == CONTENT
    assert server.gets()[-1].sent == len(CONTENT)


def test_a_server_without_versions_is_asked_for_all_of_it(server, archive, tmp_path):
    server.version, server.cuts = {}, [300_000]
    with pytest.raises(InputError, match='cannot download'):
        download(archive, tmp_path)
    assert download(archive, tmp_path).read_bytes() == CONTENT
    assert [one.range for one in server.gets()] == [None, None]


def test_a_date_tells_the_version_too(server, archive, tmp_path):
    server.version = {'ETag': 'W/"1"', 'Last-Modified': 'Wed, 21 Oct 2015 07:28:00 GMT'}
    server.cuts = [300_000]
    assert download(archive, tmp_path).read_bytes() == CONTENT and server.gets()[1].sent < 400_000


def test_killed_between_the_last_byte_and_the_end(server, archive, tmp_path):
    (tmp_path / 'images.zip.partial').write_bytes(CONTENT)
    (tmp_path / 'images.zip.partial.validator').write_text('"1"')
    assert download(archive, tmp_path).read_bytes() == CONTENT


def test_another_file_is_not_kept(server, archive, tmp_path):
    server.files['/images.zip'] = CONTENT[::-1]
    with pytest.raises(InputError, match='images.zip is not the file that is known: .*md5:.*removed') as error:
        download(archive, tmp_path)
    assert '\n' not in str(error.value) and os.listdir(tmp_path) == []


def test_what_is_not_on_the_server_is_named_before_anything_is_downloaded(server, archive, tmp_path):
    missing = Archive('more.zip', f'{server.url}/more.zip')
    for call in (lambda: require_space([archive, missing], tmp_path), lambda: download(missing, tmp_path)):
        with pytest.raises(InputError, match=r'more.zip: 404 .* put the file there yourself: /.*/more.zip'):
            call()
    assert os.listdir(tmp_path) == [] and '/images.zip' not in [one.path for one in server.gets()]


def test_a_server_that_is_not_there_is_named(server, tmp_path):
    with pytest.raises(InputError, match='http://127.0.0.1:1/a.zip: Failed to establish a .*refused') as error:
        download(Archive('a.zip', 'http://127.0.0.1:1/a.zip'), tmp_path)
    assert '\n' not in str(error.value)


def test_a_full_disk_is_named_and_the_next_run_goes_on(server, archive, tmp_path, largest_file):
    largest_file(250_000)
    with pytest.raises(InputError, match='cannot write .*/images.zip: File too large; what is there stays'):
        download(archive, tmp_path)
    largest_file(None)
    assert download(archive, tmp_path).read_bytes() == CONTENT
    assert server.gets()[-1].sent == len(CONTENT) - 250_000


def test_room_is_looked_for_before_anything_is_downloaded(server, archive, tmp_path, capsys):
    require_space([archive], tmp_path)
    assert f'to unpack in {tmp_path.parent}, where ' in capsys.readouterr().out
    free = shutil.disk_usage(tmp_path).free
    server.claimed_length = free * 6 // 10  # room to download it, not to unpack it
    with pytest.raises(InputError, match='GB are free: make room, or choose another folder'):
        require_space([archive], tmp_path)
    assert server.gets() == []

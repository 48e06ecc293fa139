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
    """Return a function that caps the size of files, in bytes, until the test ends."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size or soft, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_download_resumes_after_a_broken_connection(server, archive, tmp_path):
    server.cuts = [200_000, 100_000]
    assert download(archive, tmp_path).read_bytes() == CONTENT
    first, second, third = server.gets()
    held = [int(one.range.removeprefix('bytes=').removesuffix('-')) for one in (second, third)]
    assert first.range is None and 0 < held[0] <= 200_000 and held[0] < held[1] <= held[0] + 100_000
    assert third.sent == len(CONTENT) - held[1]
    assert sorted(os.listdir(tmp_path)) == ['.images.zip.downloaded', 'images.zip']
    download(archive, tmp_path)
    assert len(server.gets()) == 3  # no further GET, because the archive is already there


def test_download_keeps_a_different_file_from_the_user(server, archive, tmp_path):
    (tmp_path / 'images.zip').write_bytes(b'different')
    with pytest.raises(InputError, match='cannot use .*images.zip: its checksum differs .*; remove it to download'):
        download(archive, tmp_path)
    assert (tmp_path / 'images.zip').read_bytes() == b'different' and server.gets() == []


def test_download_stops_without_progress_and_the_next_run_resumes(server, archive, tmp_path):
    server.cuts = [300_000, 0]
    with pytest.raises(InputError, match='cannot download http.*images.zip: .*; run again to resume') as error:
        download(archive, tmp_path)
    assert '\n' not in str(error.value) and not (tmp_path / 'images.zip').exists()
    assert download(archive, tmp_path).read_bytes() == CONTENT
    assert [bool(one.range) for one in server.gets()] == [False, True, True] and server.gets()[-1].sent < 400_000


@pytest.mark.parametrize('change', [
    dict(supports_range=False), dict(version={}), dict(version=dict(ETag='W/"1"')), dict(version=dict(ETag='"2"'))])
def test_download_restarts_when_resuming_is_not_safe(server, archive, tmp_path, change):
    server.cuts = [300_000, 0]
    with pytest.raises(InputError):
        download(archive, tmp_path)
        download(archive, tmp_path)
    server.cuts = []
    for name, value in change.items():
        setattr(server, name, value)
    assert download(archive, tmp_path).read_bytes() == CONTENT
    assert server.gets()[-1].sent == len(CONTENT)


def test_download_requests_the_whole_file_without_a_version(server, archive, tmp_path):
    server.version, server.cuts = {}, [300_000]
    with pytest.raises(InputError, match='cannot download'):
        download(archive, tmp_path)
    assert download(archive, tmp_path).read_bytes() == CONTENT
    assert [one.range for one in server.gets()] == [None, None]


def test_download_accepts_a_date_as_version(server, archive, tmp_path):
    server.version = {'ETag': 'W/"1"', 'Last-Modified': 'Wed, 21 Oct 2015 07:28:00 GMT'}
    server.cuts = [300_000]
    assert download(archive, tmp_path).read_bytes() == CONTENT and server.gets()[1].sent < 400_000


def test_download_survives_a_kill_after_the_last_byte(server, archive, tmp_path):
    (tmp_path / 'images.zip.partial').write_bytes(CONTENT)
    (tmp_path / 'images.zip.partial.validator').write_text('"1"')
    assert download(archive, tmp_path).read_bytes() == CONTENT


def test_download_removes_a_file_with_a_different_checksum(server, archive, tmp_path):
    server.files['/images.zip'] = CONTENT[::-1]
    with pytest.raises(InputError, match='file from .*images.zip: its checksum differs from md5:.*removed') as error:
        download(archive, tmp_path)
    assert '\n' not in str(error.value) and os.listdir(tmp_path) == []


def test_missing_archive_is_reported_before_any_download(server, archive, tmp_path):
    missing = Archive('more.zip', f'{server.url}/more.zip')
    for call in (lambda: require_space([archive, missing], tmp_path), lambda: download(missing, tmp_path)):
        with pytest.raises(InputError, match=r'more.zip: 404 .* save the file as /.*/more.zip yourself'):
            call()
    assert os.listdir(tmp_path) == [] and '/images.zip' not in [one.path for one in server.gets()]


def test_error_names_an_unreachable_server(server, tmp_path):
    with pytest.raises(InputError, match='http://127.0.0.1:1/a.zip: Failed to establish a .*refused') as error:
        download(Archive('a.zip', 'http://127.0.0.1:1/a.zip'), tmp_path)
    assert '\n' not in str(error.value)


def test_full_disk_is_reported_and_the_next_run_resumes(server, archive, tmp_path, largest_file):
    largest_file(250_000)
    with pytest.raises(InputError, match='cannot write .*/images.zip: File too large; the partial download is kept'):
        download(archive, tmp_path)
    largest_file(None)
    assert download(archive, tmp_path).read_bytes() == CONTENT
    assert server.gets()[-1].sent == len(CONTENT) - 250_000


def test_disk_space_is_checked_before_any_download(server, archive, tmp_path, capsys):
    require_space([archive], tmp_path)
    assert f'to unpack; {tmp_path.parent} has ' in capsys.readouterr().out
    free = shutil.disk_usage(tmp_path).free
    server.claimed_length = free * 6 // 10  # enough room to download the archive but not to unpack it
    with pytest.raises(InputError, match='GB free; make room or choose another folder'):
        require_space([archive], tmp_path)
    assert server.gets() == []

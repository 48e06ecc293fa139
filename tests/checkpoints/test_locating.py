"""Find checkpoint files: paths, URLs, folders, and files downloaded by other programs."""
import hashlib
import multiprocessing
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from threading import Thread

import pytest
import torch

from xcit_mm import checkpoints
from xcit_mm.errors import InputError

WEIGHTS = dict(weight=torch.arange(3.0))


class Counting(SimpleHTTPRequestHandler):
    """A file server that counts downloads."""

    downloads = 0

    def do_GET(self):
        Counting.downloads += 1
        super().do_GET()

    def log_message(self, *args):
        pass


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder served by a local server, the server's address, and the torch hub cache."""
    folder, cache = tmp_path / 'site', tmp_path / 'hub/checkpoints'
    folder.mkdir()
    cache.mkdir(parents=True)
    monkeypatch.setattr(torch.hub, '_hub_dir', str(tmp_path / 'hub'))
    server = HTTPServer(('127.0.0.1', 0), partial(Counting, directory=str(folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    Counting.downloads = 0
    yield folder, f'http://127.0.0.1:{server.server_port}', cache
    server.shutdown()
    server.server_close()


def is_read(source):
    return torch.equal(checkpoints.read(source)['weight'], WEIGHTS['weight'])


def test_file_urls_and_home_folders_are_paths(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    torch.save(WEIGHTS, tmp_path / 'my weights.pth')
    path = f'{tmp_path}/my%20weights.pth'
    for source in ('~/my weights.pth', f'file://{path}', f'file://localhost{path}'):
        checkpoints.require(source)
        assert is_read(source)


@pytest.mark.parametrize('source', ['none.pth', '~/none.pth', '~nobody/none.pth', 'file:///none.pth', '.'])
@pytest.mark.parametrize('find', [checkpoints.require, checkpoints.read])
def test_a_missing_file_is_an_input_error_and_a_file_not_found_error(tmp_path, monkeypatch, source, find):
    monkeypatch.chdir(tmp_path)
    for kind in (InputError, FileNotFoundError):
        with pytest.raises(kind, match='no checkpoint file'):
            find(source)


def test_a_folder_of_the_hugging_face_hub_is_read(tmp_path):
    (tmp_path / 'config.json').write_text('{"architecture": "xcit_nano_12_p16_224"}')
    (tmp_path / 'blob').write_bytes(b'')
    torch.save(WEIGHTS, tmp_path / 'blob')
    (tmp_path / 'pytorch_model.bin').symlink_to(tmp_path / 'blob')  # as in the Hugging Face cache
    assert is_read(tmp_path)


def test_a_file_that_torch_hub_downloaded_is_found_offline(site):
    _, _, cache = site
    torch.save(WEIGHTS, cache / 'nano.pth')
    assert is_read('http://127.0.0.1:9/nano.pth')
    assert is_read('http://127.0.0.1:9/nano.pth')


def test_a_file_that_torch_hub_downloaded_is_used_if_it_is_the_same(site):
    folder, address, cache = site
    torch.save(WEIGHTS, folder / 'nano.pth')
    torch.save(WEIGHTS, cache / 'nano.pth')
    assert is_read(f'{address}/nano.pth') and Counting.downloads == 0
    torch.save(dict(other=torch.ones(100)), cache / 'nano.pth')
    assert is_read(f'{address}/nano.pth') and Counting.downloads == 1


def test_a_hash_in_the_name_decides_whether_a_cached_file_is_the_same(site):
    folder, address, cache = site
    torch.save(WEIGHTS, folder / 'weights')
    content = (folder / 'weights').read_bytes()
    name = f'nano-{hashlib.sha256(content).hexdigest()[:8]}.pth'
    (folder / name).write_bytes(content)
    (cache / name).write_bytes(content[:-1] + b'x')
    assert is_read(f'{address}/{name}') and Counting.downloads == 1
    for file in cache.iterdir():
        file.unlink()
    (cache / name).write_bytes(content)
    assert is_read(f'{address}/{name}') and Counting.downloads == 1


def read_in_process(address, hub, barrier):
    torch.hub.set_dir(hub)
    barrier.wait()
    checkpoints.read(f'{address}/nano.pth')


def test_one_of_several_processes_downloads(site):
    folder, address, cache = site
    torch.save(WEIGHTS | dict(large=torch.ones(1_000_000)), folder / 'nano.pth')
    spawn = multiprocessing.get_context('fork')
    barrier = spawn.Barrier(3)
    ranks = [spawn.Process(target=read_in_process, args=(address, str(cache.parent), barrier)) for _ in range(3)]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join()
    assert [rank.exitcode for rank in ranks] == [0, 0, 0] and Counting.downloads == 1


def test_the_error_about_a_corrupt_download_names_the_file_to_remove(site):
    folder, address, cache = site
    (folder / 'nano.pth').write_bytes(b'not a checkpoint')
    with pytest.raises(InputError, match=f'corrupt; remove {cache}/.*-nano.pth to download it again'):
        checkpoints.read(f'{address}/nano.pth')
    with pytest.raises(InputError, match='cannot read the checkpoint .*404'):
        checkpoints.read(f'{address}/none.pth')

"""Prepare the catalogue's data sets from small archives with the real layouts."""
import os
import pickle
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from archive_server import zipped
from filelock import FileLock
from PIL import Image
from small_archives import CITY, MEMBERS, small_set

from xcit_mm.datasets import catalogue
from xcit_mm.datasets.catalogue import CATALOGUE
from xcit_mm.datasets.preparation import prepare
from xcit_mm.errors import InputError


@pytest.fixture
def small(server):
    return partial(small_set, server)


@pytest.mark.parametrize('name', ['ade20k', 'coco', 'loveda', 'nuclei'])
def test_data_set_is_prepared_once(small, server, tmp_path, name):
    dataset = small(name)
    assert prepare(dataset, tmp_path / 'data/set')
    assert all(len(list((tmp_path / 'data/set').glob(pattern))) == count for pattern, count in dataset.layout.items())
    assert os.listdir(tmp_path / 'data') == ['set']
    requests = len(server.requests)
    assert not prepare(dataset, tmp_path / 'data/set') and len(server.requests) == requests


def test_archives_are_kept_on_request(small, tmp_path):
    assert prepare(small('coco'), tmp_path / 'coco', keep_archives=True)
    assert sorted(os.listdir(tmp_path / 'coco.archives')) == sorted(MEMBERS['coco'])


def test_complete_archives_are_not_downloaded_again(small, server, tmp_path):
    dataset = small('coco')
    train = server.files.pop('/train2017.zip')
    with pytest.raises(InputError, match='train2017.zip: 404'):  # reported before any download
        prepare(dataset, tmp_path / 'coco')
    assert server.gets() == []
    server.files['/train2017.zip'] = train
    server.cuts = [len(server.files[f'/{archive.name}']) for archive in dataset.archives[:2]] + [0]
    with pytest.raises(InputError, match='cannot download'):
        prepare(dataset, tmp_path / 'coco')
    assert os.listdir(tmp_path) == ['coco.archives']
    server.requests.clear()
    assert prepare(dataset, tmp_path / 'coco')
    assert {one.path for one in server.requests} == {'/train2017.zip'}


DIE_AFTER_ONE_FILE = '''
import os, pickle, shutil, signal, sys
from xcit_mm.datasets.preparation import prepare

copy = shutil.copyfileobj

def copy_and_die(source, target):
    copy(source, target)
    os.kill(os.getpid(), signal.SIGKILL)

shutil.copyfileobj = copy_and_die
prepare(pickle.loads(bytes.fromhex(sys.argv[1])), sys.argv[2])
'''


def test_next_run_continues_after_a_kill(small, server, tmp_path):
    dataset = small('ade20k')
    killed = subprocess.run([sys.executable, '-c', DIE_AFTER_ONE_FILE, pickle.dumps(dataset).hex(), tmp_path / 'ade'])
    assert killed.returncode == -signal.SIGKILL
    assert sorted(os.listdir(tmp_path)) == ['ade.archives', 'ade.partial'] and len(server.gets()) == 1
    assert prepare(dataset, tmp_path / 'ade') and len(server.gets()) == 1
    assert os.listdir(tmp_path) == ['ade'] and not prepare(dataset, tmp_path / 'ade')


def test_concurrent_run_is_refused(small, server, tmp_path):
    (tmp_path / 'ade.archives').mkdir()
    with FileLock(tmp_path / 'ade.archives/.lock'), pytest.raises(InputError, match='another run is using it; wait'):
        prepare(small('ade20k'), tmp_path / 'ade')
    assert server.requests == [] and prepare(small('ade20k'), tmp_path / 'ade')


def test_cityscapes_requires_manual_download(small, server, tmp_path):
    dataset, root = small('cityscapes'), tmp_path / 'cityscapes'
    names = list(MEMBERS['cityscapes'])
    for missing in (names, names[1:]):
        with pytest.raises(InputError, match=f'{" and ".join(missing)}: .*; log in at https.* to {root}.archives'):
            prepare(dataset, root)
        (tmp_path / 'cityscapes.archives' / missing[0]).write_bytes(server.files[f'/{missing[0]}'])
    assert prepare(dataset, root) and server.requests == []
    mask = CITY.format('gtFine', 'val', 'gtFine_labelTrainIds')
    assert (np.asarray(Image.open(root / mask)) == 0).all()  # id 7 is road, class 0
    assert sorted(os.listdir(tmp_path / 'cityscapes.archives')) == sorted(names)  # kept, because they are the user's
    (root / mask).unlink()  # as if the user had only unpacked the archives
    assert not prepare(dataset, root) and (root / mask).exists()


def test_archives_from_the_user_are_not_removed(small, server, tmp_path):
    dataset = small('coco')
    (tmp_path / 'coco.archives').mkdir()
    for name in MEMBERS['coco']:
        (tmp_path / 'coco.archives' / name).write_bytes(server.files[f'/{name}'])
    assert prepare(dataset, tmp_path / 'coco') and server.gets() == []
    assert sorted(os.listdir(tmp_path / 'coco.archives')) == sorted(MEMBERS['coco'])


def test_incomplete_folder_is_kept_and_the_error_says_what_is_missing(small, server, tmp_path):
    (tmp_path / 'coco/train2017').mkdir(parents=True)
    (tmp_path / 'coco/train2017/1.jpg').touch()
    with pytest.raises(InputError, match=r'coco: it exists, but val2017/\*.jpg matches 0 files instead of 1;'):
        prepare(small('coco'), tmp_path / 'coco')
    assert server.requests == [] and os.listdir(tmp_path) == ['coco']
    (tmp_path / 'file').touch()
    with pytest.raises(InputError, match='file: it exists, but'):
        prepare(small('coco'), tmp_path / 'file')
    with pytest.raises(InputError, match='cannot prepare .*/file/coco: Not a directory'):
        prepare(small('coco'), tmp_path / 'file/coco')


def test_unexpected_archive_content_creates_no_folder(small, tmp_path):
    dataset = small('ade20k')
    with pytest.raises(InputError, match='in .*ade.archives: images/validation/.* matches 1 files instead of 9'):
        prepare(replace(dataset, layout=dataset.layout | {'images/validation/*.jpg': 9}), tmp_path / 'ade')
    assert os.listdir(tmp_path) == ['ade.archives']
    (tmp_path / 'empty').mkdir()
    assert prepare(dataset, tmp_path / 'empty')


@pytest.fixture
def small_disk(tmp_path):
    """Mount a 1 MB file system."""
    disk = tmp_path / 'disk'
    disk.mkdir()
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk], capture_output=True).returncode:
        pytest.skip('not allowed to mount a file system')
    yield disk
    subprocess.run(['umount', disk], check=True)


def test_full_disk_keeps_the_archive_and_leaves_no_partial_data_set(small, server, small_disk):
    dataset = small('ade20k')
    large = zipped({name: os.urandom(150_000) for name in MEMBERS['ade20k']['ADEChallengeData2016.zip'][:4]})
    server.files['/ADEChallengeData2016.zip'], server.claimed_length = large, 1
    dataset = replace(dataset, archives=(replace(dataset.archives[0], checksum=None), ))
    with pytest.raises(InputError, match='cannot create .*/disk/ade: No space left on device'):
        prepare(dataset, small_disk / 'ade')
    assert os.listdir(small_disk) == ['ade.archives']
    server.files['/ADEChallengeData2016.zip'] = 2 * large
    with pytest.raises(InputError, match='cannot write .*/2016.zip: No space left on device; the partial'):
        prepare(replace(dataset, archives=(replace(dataset.archives[0], name='2016.zip'), )), small_disk / 'ade')


def test_mount_point_is_not_replaced(small, server, small_disk):
    with pytest.raises(InputError, match='cannot replace .*/disk: it is a mount point'):
        prepare(small('coco'), small_disk)
    assert server.requests == []


@pytest.mark.parametrize('name, module, package', [('coco', 'download', 'pooch'), ('digits', 'digits', 'sklearn')])
def test_error_names_a_missing_package(small, tmp_path, monkeypatch, name, module, package):
    monkeypatch.delitem(sys.modules, f'xcit_mm.datasets.{module}', raising=False)
    monkeypatch.delattr(f'xcit_mm.datasets.{module}', raising=False)
    for loaded in [loaded for loaded in sys.modules if loaded.split('.')[0] == package]:
        monkeypatch.setitem(sys.modules, loaded, None)
    monkeypatch.setitem(sys.modules, package, None)
    dataset = CATALOGUE[name] if name == 'digits' else small(name)
    with pytest.raises(InputError, match=rf"{package}.* is missing; run pip install 'xcit_mm\[data,digits\]'"):
        prepare(dataset, tmp_path / name)


def test_tool_reports_results_and_errors_in_one_line(small, run_here, monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(catalogue.CATALOGUE, 'coco', replace(small('coco'), root=str(tmp_path / 'coco')))
    assert run_here('prepare_dataset', 'coco') is None
    output = capsys.readouterr().out
    assert 'CC BY 4.0' in output and f'coco: written to {tmp_path}/coco' in output and 'GB free' in output
    assert run_here('prepare_dataset', 'coco') is None
    assert capsys.readouterr().out == f'coco: already in {tmp_path}/coco\n'
    (tmp_path / 'coco/val2017/000000000139.jpg').unlink()
    output = run_here('prepare_dataset', 'coco', '--root', tmp_path / 'coco')
    assert output.startswith('error: ') and len(output.splitlines()) == 1


def test_prepare_composes_digits(tmp_path, monkeypatch):
    from xcit_mm.datasets import digits
    monkeypatch.setattr(digits.prepare, '__defaults__', (dict(train=2, val=1), 0))
    dataset = replace(CATALOGUE['digits'], layout=dict(zip(CATALOGUE['digits'].layout, [2, 2, 1, 1, 1, 1])))
    assert prepare(dataset, tmp_path / 'digits') and not prepare(dataset, tmp_path / 'digits')
    next((tmp_path / 'digits/images/val').iterdir()).unlink()
    with pytest.raises(InputError, match=r'images/val/\*.png matches 0 files instead of 1'):
        prepare(dataset, tmp_path / 'digits')

"""A run that resumes skips the images that an earlier run finished, and no others."""
import json
import os
import signal

import pytest
import torch
from mmengine.config import Config
from rasters import random_bands, write_raster

from xcit_mm.inference.results import result_file
from xcit_mm.many_files import Manifest, for_each_image, settings_of

ALL = ['a.png', 'b.png', 'sub/a.png']


@pytest.fixture
def folder(tmp_path):
    """Return a folder with images, of which two have the same name, a checkpoint and recorded statistics."""
    for name in ALL:
        (tmp_path / 'images' / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / 'images' / name).write_text(name)
    for name in ('weights.pth', 'sums.safetensors'):
        (tmp_path / name).write_text(name)
    return tmp_path


def process(folder, config=None, resume=True, killed_at='', **options):
    """Write two results for each image that is not finished, and return the images processed, in order."""
    options = {'mode': 'auto', 'bands': (1, 2), **options}
    settings = settings_of(Config(config or dict(kind=torch.nn.ReLU, size=(1, 2))), str(folder / 'weights.pth'),
                           {**options, 'statistics': dict(type='frozen', file=str(folder / 'sums.safetensors'))})
    done, images = [], folder / 'images'

    def work(path, advance):
        done.append(path.relative_to(images).as_posix())
        for ending in ('first', 'second'):
            with result_file(folder / 'out' / path.relative_to(images).with_suffix(f'.{ending}')) as file:
                file.write_text('half')
                if (done[-1], ending) == (killed_at, 'second'):
                    os.kill(os.getpid(), signal.SIGKILL)
                file.write_text('whole')

    for_each_image([images / name for name in ALL], work, manifest=Manifest(
        folder / 'out', [images], settings, resume))
    return done


def entry_of(folder, name):
    return folder / 'out/.xcit_mm_finished' / name


def change_file(path):
    path.write_text(path.read_text() + '+')


def touch(path):
    os.utime(path, ns=(0, 0))


@pytest.mark.parametrize('change, again, reason', [
    (lambda folder: dict(config=dict(kind=torch.nn.ReLU, size=(1, 3))), ALL, 'the config changed'),
    (lambda folder: change_file(folder / 'weights.pth'), ALL, 'the checkpoint changed'),
    (lambda folder: change_file(folder / 'sums.safetensors'), ALL, '--statistics changed'),
    (lambda folder: dict(mode='whole', bands=(2, 1)), ALL, '--bands, --mode changed'),
    (lambda folder: dict(new_option=True), ALL, '--new-option changed'),
    (lambda folder: change_file(folder / 'images/sub/a.png'), ['sub/a.png'], 'the file changed'),
    (lambda folder: touch(folder / 'images/b.png'), ['b.png'], 'the file changed'),
    (lambda folder: (folder / 'out/b.second').unlink(), ['b.png'], 'out/b.second is missing'),
    (lambda folder: entry_of(folder, 'a.json').write_text('{"image": '), ['a.png'], 'a.json is damaged'),
    (lambda folder: entry_of(folder, 'a.json').write_text('[]'), ['a.png'], 'a.json is damaged'),
    (lambda folder: entry_of(folder, 'a.json').write_text('{"image": null}'), ['a.png'], 'a.json is damaged'),
    (lambda folder: entry_of(folder, 'a.json').write_bytes(b'\xff'), ['a.png'], 'a.json is damaged'),
    (lambda folder: entry_of(folder, 'a.json').unlink(), ['a.png'], None)])
def test_only_what_changed_is_processed_again_and_the_reason_is_one_line(folder, capsys, change, again, reason):
    assert process(folder) == ALL and process(folder) == []
    capsys.readouterr()
    options = change(folder)
    options = options if isinstance(options, dict) else {}
    assert process(folder, **options) == again
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith('processing')]
    assert [line.split(' again: ')[0] for line in lines] == [
        f'processing {folder}/images/{name}' for name in (again if reason else [])]
    assert all(line.endswith(reason) for line in lines)
    assert process(folder, **options) == [] and process(folder, resume=False, **options) == ALL


def test_an_image_of_the_same_name_in_another_folder_is_not_taken_for_a_finished_one(folder, capsys):
    process(folder)
    (folder / 'images').rename(folder / 'others')
    (folder / 'images').symlink_to('others')
    assert process(folder) == []
    moved = Manifest(folder / 'out', [folder / 'others'], {}, resume=True)
    assert not moved.is_finished(folder / 'others/a.png')
    assert capsys.readouterr().out.endswith(f'its results are those of {folder}/images/a.png\n')


def test_a_killed_run_leaves_no_entry_and_no_half_result_and_its_image_comes_last(folder, capsys):
    process(folder, mode='whole')
    child = os.fork()
    if not child:
        try:
            process(folder, resume=False, killed_at='b.png')
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert not entry_of(folder, 'b.json').exists() and entry_of(folder, 'a.json').exists()
    assert (folder / 'out/b.second').read_text() == 'whole'  # of the first run
    assert process(folder) == ['sub/a.png', 'b.png']
    assert 'images/b.png again: an earlier run ended while processing it' in capsys.readouterr().out
    assert process(folder) == [] and process(folder, mode='whole') == ALL
    assert not list((folder / 'out').rglob('*.begun')) and not list((folder / 'out').rglob('.*.partial'))


def test_all_files_of_an_image_count(tmp_path):
    tile = write_raster(tmp_path / 'tile.tif', random_bands(1))
    for name, source in (('inner', 'tile.tif'), ('outer', 'inner.vrt')):
        (tmp_path / f'{name}.vrt').write_text(
            '<VRTDataset rasterXSize="141" rasterYSize="301"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
            f'<SourceFilename relativeToVRT="1">{source}</SourceFilename><SourceBand>1</SourceBand></SimpleSource>'
            '</VRTRasterBand></VRTDataset>')
    manifest = Manifest(tmp_path / 'out', [tmp_path], dict(config='', checkpoint='', options={}), resume=True)
    with manifest.recording(image := tmp_path / 'outer.vrt'):
        pass
    assert manifest.is_finished(image)
    touch(tile)
    assert not manifest.is_finished(image)


def test_an_image_that_fails_has_no_entry(folder):
    process(folder)
    (folder / 'out/a.first').write_text("the user's own")
    (folder / 'images/a.png').write_text('new')
    with pytest.raises(ValueError, match='cannot process 1 of 3 images'):
        process(folder)
    assert not entry_of(folder, 'a.json').exists() and entry_of(folder, 'b.json').exists()
    (folder / 'out/a.first').unlink()
    assert process(folder) == ['a.png']


def test_an_entry_lists_the_results(folder):
    process(folder)
    assert json.loads(entry_of(folder, 'sub/a.json').read_text())['results'] == ['sub/a.first', 'sub/a.second']

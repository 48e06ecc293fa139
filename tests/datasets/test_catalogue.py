"""The prepared data sets contain exactly the files that the configs read."""
from pathlib import Path, PurePosixPath

import pytest
from config_files import LEAVES, as_parameters
from mmengine.config import Config
from mmseg.datasets import ADE20KDataset, CityscapesDataset, LoveDADataset

from xcit_mm.config import _dataset_paths
from xcit_mm.datasets import digits
from xcit_mm.datasets.catalogue import CATALOGUE


def prepared_paths(root, layout):
    """List the folders and files in a layout."""
    for pattern in layout:
        path = PurePosixPath(pattern)
        fixed = [part for part in path.parts if '*' not in part]
        yield Path(root, *path.parts[:len(fixed)])


# One config for each head and data set; the zoo's other configs differ only in the backbone. Users bring their own
# rasters.
KINDS = {(path.stem.split('_')[1], path.stem.split('_')[-1]): path for path in LEAVES if not path.match('*_raster.py')}


@pytest.mark.parametrize('path', as_parameters(KINDS.values()))
def test_preparation_covers_every_path_that_a_config_reads(path, monkeypatch):
    monkeypatch.delenv('XCIT_MM_NUCLEI_ROOT', raising=False)
    config = Config.fromfile(path)
    command, tool, name, option, root = config.data_preparation.split()
    assert [command, tool, option, root] == ['python', '{tools}/prepare_dataset.py', '--root', '{data_root}']
    assert Path(CATALOGUE[name].root) == Path(config.data_root)
    read = {path for split in ('train', 'val', 'test') for path in _dataset_paths(config[f'{split}_dataloader'])}
    annotations = config.val_evaluator.get('ann_file')
    prepared = set(prepared_paths(config.data_root, CATALOGUE[name].layout))
    assert read | ({Path(annotations)} if annotations else set()) <= prepared
    assert len(read) == 4


@pytest.mark.parametrize('name, kind', [
    ('ade20k', ADE20KDataset), ('cityscapes', CityscapesDataset), ('loveda', LoveDADataset)])
def test_suffixes_match_those_of_mmseg(name, kind):
    data = kind(data_prefix=dict(img_path='', seg_map_path=''), data_root='/none', lazy_init=True)
    ends = [pattern.split('*')[-1] for pattern in CATALOGUE[name].layout]
    assert sorted(ends) == sorted([data.img_suffix, data.seg_map_suffix] * 2)


def test_layout_of_digits_matches_the_number_of_scenes():
    layout = CATALOGUE['digits'].layout
    assert {split: layout[f'images/{split}/*.png'] for split in digits.SPLITS} == digits.NUM_SCENES


@pytest.mark.parametrize('name', CATALOGUE)
def test_every_data_set_has_a_source_and_a_licence(name):
    dataset = CATALOGUE[name]
    assert dataset.licence and dataset.page.startswith('https://')
    assert bool(dataset.archives) != bool(dataset.make)
    for archive in dataset.archives:
        assert bool(archive.moves) != bool(archive.convert) and archive.name.endswith('.zip')
        if archive.url:
            assert PurePosixPath(archive.url.split('?')[0]).name == archive.name
        if archive.url and archive.url.startswith('http:'):
            assert archive.checksum  # plain HTTP does not protect the file in transit

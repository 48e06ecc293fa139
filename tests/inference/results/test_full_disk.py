"""A full disk or a killed run leaves neither an incomplete result nor files that stay."""
import shutil

import numpy as np
import pytest
import torch
from full_disk import files_up_to

from xcit_mm.errors import InputError
from xcit_mm.inference.results import PREDICTED, Part, ResultMeta, build_sinks, is_result, result_file, write_parts

SIZE = 700, 600
LABELS = torch.from_numpy(np.kron(np.random.default_rng(0).integers(1, 4, (70, 60)), np.ones((10, 10), np.uint8)))
NOISE = torch.from_numpy(np.random.default_rng(1).integers(0, 255, SIZE, dtype=np.uint8))
META = ResultMeta('a', *SIZE, list('abcd'), [[0, 0, 0], [9, 9, 9], [90, 0, 0], [0, 90, 0]],
                  lambda: [np.random.default_rng(2).integers(0, 255, (*SIZE, 3), dtype=np.uint8)])
SINKS = dict(tiff=['tiff'], ome_tiff=['ome_tiff'], gpkg=['gpkg'], geojson=['geojson'], png=['png'], overlay=['overlay'],
             page=['page'],
             several=['tiff', 'png'], probabilities=[dict(type='probabilities', classes=[2])],
             scores=[dict(type='gpkg', scores=True)])


def write(sinks, folder, between=lambda: None):
    def parts():
        for start in range(0, SIZE[0], 100):
            between()
            rows = slice(start, start + 100)
            yield Part(LABELS[rows], {2: NOISE[rows], PREDICTED: NOISE[rows]})

    write_parts(build_sinks(SINKS[sinks]), folder, parts(), META)
    return sorted(file for file in folder.iterdir() if file.name != '.xcit_mm_results')


@pytest.mark.parametrize('sinks', SINKS)
def test_a_full_disk_leaves_no_incomplete_file(tmp_path, sinks):
    results = write(sinks, tmp_path / 'complete')
    size = max(file.stat().st_size for path in results for file in [path, *path.rglob('*')])
    for limit in (2000, size // 2, size - 4000, size - 1):
        with files_up_to(limit), pytest.raises(InputError, match='^cannot write [^\n]*$'):
            write(sinks, tmp_path / 'full')
        # Of several files, those that fit are complete.
        assert all(map(is_result, (tmp_path / 'full').glob('[!.]*'))) and not list((tmp_path / 'full').glob('.a*'))


@pytest.mark.parametrize('sinks', SINKS)
def test_the_next_run_removes_what_a_killed_run_leaves(tmp_path, sinks):
    def be_killed():
        shutil.rmtree(tmp_path / 'killed', ignore_errors=True)
        shutil.copytree(tmp_path / 'out', tmp_path / 'killed')

    (tmp_path / 'out').mkdir()
    files = write(sinks, tmp_path / 'out', be_killed)
    assert not [file for file in (tmp_path / 'killed').iterdir() if not file.name.startswith('.')]
    assert [file.name for file in write(sinks, tmp_path / 'killed')] == [file.name for file in files]


def test_a_record_that_a_full_disk_cut_off_is_still_used(tmp_path):
    def write_text():
        with result_file(tmp_path / 'a.json') as file:
            file.write_text('[]')

    write_text()
    with files_up_to(100), pytest.raises(InputError, match='a.json'):
        write_text()
    assert 72 < (tmp_path / '.xcit_mm_results').stat().st_size == 100
    write_text()
    (tmp_path / '.xcit_mm_results').write_bytes((tmp_path / '.xcit_mm_results').read_bytes()[73:])
    assert is_result(tmp_path / 'a.json')

"""Run tools/infer.py on many files: resume, share them among processes, and process a part of them."""
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from messages import is_one_line
from PIL import Image
from rasters import random_bands, write_raster

ROOT = Path(__file__).resolve().parents[2]
DIGITS = 'configs/xcit_upernet_digits.py'


@pytest.fixture
def images(tmp_path):
    """Return a folder with pictures of two sizes, two of which have the same name, and a raster."""
    folder = tmp_path / 'images'
    (folder / 'sub').mkdir(parents=True)
    for name, side in {'a.png': 32, 'b.png': 64, 'sub/a.png': 48}.items():
        Image.fromarray(np.random.default_rng(side).integers(0, 256, (side, side, 3), np.uint8)).save(folder / name)
    write_raster(folder / 'c.tif', random_bands(3))
    return folder


def writes(folder):
    """Return how often each label map was written, according to the records of results."""
    return Counter(line.split()[1] if record.parent == folder else f'{record.parent.name}/{line.split()[1]}'
                   for record in folder.rglob('.xcit_mm_results') for line in record.read_text().splitlines()
                   if '_classes' in line)


def test_resume_skips_finished_files_and_names_what_changed(run_here, capsys, tmp_path, images, weights):
    out = tmp_path / 'out'
    arguments = ['infer', DIGITS, weights, images, '--recursive', '--out', out, '--device', 'cpu']
    assert run_here(*arguments, '--part', '1/2') is None
    assert run_here(*arguments, '--resume', '--max-memory', '8GB') is None
    assert '4 image(s): results in ' in (said := capsys.readouterr().out) and ', 2 of them from an earlier run' in said
    once = {'a_classes.png', 'b_classes.png', 'c_classes.tif', 'sub/a_classes.png'}
    assert writes(out) == dict.fromkeys(once, 1)
    assert run_here(*arguments, '--resume', '--precision', 'bfloat16', '--part', '2/2') is None
    said = capsys.readouterr().out
    assert said.count('again: --precision changed') == 2 and '2 image(s): results' in said
    assert sorted(writes(out).values()) == [1, 1, 2, 2]
    assert is_one_line(run_here(*arguments, '--part', '3/2'), '--part must be i/n', "'3/2'")


@pytest.mark.slow
def test_processes_of_torchrun_share_the_files_and_report_once(tmp_path, images, weights):
    (images / 'damaged.png').write_bytes((images / 'b.png').read_bytes()[:60])
    command = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc-per-node=2', 'tools/infer.py',
               DIGITS, str(weights), str(images), '--recursive', '--out', str(tmp_path / 'out'), '--device', 'cpu']
    result = subprocess.run(command, cwd=ROOT, env={**os.environ, 'OMP_NUM_THREADS': '1'}, capture_output=True,
                            text=True, timeout=300)
    said = result.stdout + result.stderr
    assert result.returncode == 1 and said.count('error: cannot process 1 of 5 images') == 1, said
    assert said.count(f'cannot read {images}/damaged.png') == 1 and 'image(s): results' not in said
    assert sorted(writes(tmp_path / 'out').values()) == [1, 1, 1, 1]
    assert len(list((tmp_path / 'out').rglob('.xcit_mm_finished/**/*.json'))) == 4

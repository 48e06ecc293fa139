"""The scripts that start several processes find the environment that ``make`` created, even if it is not activated."""
import os
import subprocess
from pathlib import Path
from shutil import copy

import pytest

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


@pytest.fixture
def commands(tmp_path):
    """Return a function that starts a launcher in a copy of the checkout, and returns the python that it runs.

    The PATH holds a python without torch, as a system's, and an srun that runs the command on this machine.
    """
    for path, content in (('bin/python', 'echo system'), ('.venv/bin/python', 'echo venv'), ('other', 'echo other'),
                          ('bin/srun', 'while case $1 in *=*) shift;; -*) shift 2;; *) false; esac; do :; done; "$@"')):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(f'#!/bin/sh\n{content}\n')
        (tmp_path / path).chmod(0o755)
    (tmp_path / 'tools').mkdir()
    for name in ('dist_train.sh', 'slurm_train.sh', 'find_python.sh'):
        copy(TOOLS / name, tmp_path / 'tools')
    plain = {name: value for name, value in os.environ.items()
             if name not in ('PYTHON', 'VIRTUAL_ENV', 'CONDA_PREFIX')}

    def run(*arguments, **env):
        result = subprocess.run(
            ['bash', *arguments], cwd=tmp_path, text=True, capture_output=True,
            env={**plain, 'PATH': f'{tmp_path}/bin:{os.environ["PATH"]}', 'SRUN_ARGS': '', **env})
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    return run


@pytest.mark.parametrize('arguments', [['tools/dist_train.sh', 'config.py', '2'],
                                       ['tools/slurm_train.sh', 'partition', 'job', 'config.py', '2']])
def test_python_is_found(commands, tmp_path, arguments):
    assert commands(*arguments) == 'venv'
    assert commands(*arguments, VIRTUAL_ENV='/somewhere') == 'system'
    assert commands(*arguments, CONDA_PREFIX='/somewhere') == 'system'
    assert commands(*arguments, PYTHON=f'{tmp_path}/other') == 'other'
    (tmp_path / '.venv/bin/python').unlink()
    assert commands(*arguments) == 'system'

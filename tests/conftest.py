import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from archive_server import running_server

from xcit_mm.datasets import digits

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def run_tool(tmp_path):
    """Run ``tools/NAME.py`` as a user does; returns the completed process."""

    def run(name, *args, cwd=ROOT, **env):
        return subprocess.run(
            [sys.executable, str(ROOT / 'tools' / f'{name}.py'), *map(str, args)], cwd=cwd,
            env={**os.environ, **env}, capture_output=True, text=True, timeout=900)

    return run


@pytest.fixture
def run_here(monkeypatch):
    """Run ``tools/NAME.py`` in this process; returns what it says when it exits early, else None."""

    def run(name, *args):
        path = ROOT / 'tools' / f'{name}.py'
        monkeypatch.setattr(sys, 'argv', [str(path), *map(str, args)])
        try:
            runpy.run_path(str(path), run_name='__main__')
        except SystemExit as end:
            return end.code

    return run


@pytest.fixture(scope='session')
def scenes(tmp_path_factory):
    """A small data set ``digits``."""
    root = tmp_path_factory.mktemp('data') / 'digits'
    digits.prepare(root, dict(train=8, val=2))
    return root


@pytest.fixture
def server():
    """A local server of archives: see ``archive_server.py``."""
    with running_server() as server:
        yield server

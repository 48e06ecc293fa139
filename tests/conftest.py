import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def run_tool(tmp_path):
    """Run ``tools/NAME.py`` as a user does; returns the completed process."""

    def run(name, *args, cwd=ROOT, **env):
        return subprocess.run(
            [sys.executable, str(ROOT / 'tools' / f'{name}.py'), *map(str, args)], cwd=cwd,
            env={**os.environ, **env}, capture_output=True, text=True, timeout=900)

    return run

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from archive_server import running_server
from yapf.yapflib import yapf_api

from xcit_mm.command_line import write_formatter_cache
from xcit_mm.config import load_config
from xcit_mm.datasets import digits
from xcit_mm.training.runner import StrictRunner

ROOT = Path(__file__).resolve().parents[1]


def pytest_configure():
    """Split the cores among the pytest-xdist workers, so that workers and subprocesses do not compete for cores."""
    write_formatter_cache()  # before tests in several workers need the cache
    workers = int(os.environ.get('PYTEST_XDIST_WORKER_COUNT', 1))
    if workers > 1:
        threads = max(1, os.cpu_count() // workers)
        os.environ['OMP_NUM_THREADS'] = str(threads)  # for the subprocesses
        torch.set_num_threads(threads)


def pytest_collection_modifyitems(items):
    """Run pytest-xdist groups first, then slow tests: a long test that starts late keeps the other workers waiting."""
    items.sort(key=lambda item: [item.get_closest_marker(name) is None for name in ('xdist_group', 'slow')])


@pytest.fixture(scope='session', autouse=True)
def without_transformers():
    """Hide transformers from the processes that tests start, as if the ``dev`` extra were not installed.

    Only peft needs transformers, and tests use peft only to adapt attention. But MMEngine imports transformers wherever
    it is installed, which takes 2 to 3 seconds per process. The test processes themselves still import it, as do the
    scripts that ``test_foreign_project.py`` runs.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('PYTHONPATH', str(ROOT / 'tests/support/without_transformers'), prepend=os.pathsep)
        yield


@pytest.fixture(scope='session', autouse=True)
def each_config_formatted_once():
    """Remember formatted configs: MMEngine formats the same config four times per training, which takes seconds."""
    format_code, formatted = yapf_api.FormatCode, {}

    def run(text, **options):
        key = text, str(options)
        if key not in formatted:
            formatted[key] = format_code(text, **options)
        return formatted[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yapf_api, 'FormatCode', run)
        yield


@pytest.fixture
def run_tool(tmp_path):
    """Return a function that runs ``tools/NAME.py`` the way a user would and returns the completed process."""

    def run(name, *args, cwd=ROOT, **env):
        return subprocess.run(
            [sys.executable, str(ROOT / 'tools' / f'{name}.py'), *map(str, args)], cwd=cwd,
            env={**os.environ, **env}, capture_output=True, text=True, timeout=900)

    return run


@pytest.fixture
def run_here(monkeypatch):
    """Return a function that runs ``tools/NAME.py`` in this process and returns its exit message, or None."""

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
    """Return the folder containing a small ``digits`` data set."""
    root = tmp_path_factory.mktemp('data') / 'digits'
    digits.prepare(root, dict(train=8, val=2))
    return root


@pytest.fixture
def server():
    """Run a local archive server; see ``archive_server.py``."""
    with running_server() as server:
        yield server


@pytest.fixture
def train(tmp_path, scenes):
    """Return a function that trains with two scenes per batch, optionally with hooks that interfere."""

    def run(iterations=4, hooks=(), root=scenes, **changes):
        config = load_config(ROOT / 'configs/xcit_upernet_digits.py', {
            'data_root': str(root), 'train_cfg.max_iters': iterations, 'train_cfg.val_interval': 100,
            'train_dataloader.batch_size': 2, 'train_dataloader.num_workers': 0, 'val_dataloader.num_workers': 0,
            'train_dataloader.persistent_workers': False, 'val_dataloader.persistent_workers': False,
            'default_hooks.checkpoint.interval': 2, 'default_hooks.checkpoint.save_last': False,
            'model.backbone.arch': dict(embed_dim=16, depth=4, num_heads=2, patch_size=16),
            'model.decode_head.in_channels': [16] * 4, 'model.auxiliary_head.in_channels': 16, **changes},
            str(tmp_path / 'run'))
        runner = StrictRunner.from_cfg(config)
        for hook in hooks:
            runner.register_hook(hook, priority='VERY_HIGH')
        runner.train()
        return runner

    return run

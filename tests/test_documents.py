"""What the documents tell to type is run: Python, configs and commands, in a folder with a checkout's tools."""
import os
import subprocess
import sys
from pathlib import Path
from unittest import SkipTest

import pytest
import torch
from mmengine.registry import MODELS, init_default_scope
from sybil import Example, Sybil
from sybil.parsers.markdown import CodeBlockParser, SkipParser

from xcit_mm.apis import init_model
from xcit_mm.config import load_config

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(path.relative_to(ROOT) for pattern in ('*.md', 'docs/*.md') for path in ROOT.glob(pattern))
CHECKPOINT = 'work_dirs/xcit_upernet_digits/iter_1000.pth'


@pytest.fixture(scope='module')
def project(tmp_path_factory, scenes):
    """A folder as after ``make demo``, with a photo in it; the weights are random."""
    folder = tmp_path_factory.mktemp('project')
    for name in ('configs', 'tools'):
        (folder / name).symlink_to(ROOT / name)
    (folder / 'data').mkdir()
    (folder / 'data/digits').symlink_to(scenes)
    (folder / 'photo.jpg').symlink_to(next((scenes / 'images/val').iterdir()))
    (folder / CHECKPOINT).parent.mkdir(parents=True)
    torch.manual_seed(0)
    torch.save(init_model(ROOT / 'configs/xcit_upernet_digits.py').state_dict(), folder / CHECKPOINT)
    return folder


def run_python(example: Example) -> None:
    exec(compile(example.parsed, example.path, 'exec'), example.namespace)


def build_config(example: Example) -> None:
    """Load a snippet of a config, over a config of mmseg's if it has no base, and build its model."""
    path, code = Path('snippet.py'), str(example.parsed)
    if '_base_' not in code and 'config_dict' not in code:
        import mmseg

        base = Path(mmseg.__file__).parent / '.mim/configs/_base_/models/upernet_swin.py'
        code = f'_base_ = {str(base)!r}\n{code}'
    path.write_text(code)
    config = load_config(path)
    init_default_scope(config.get('default_scope', 'mmseg'))
    model = MODELS.build({**config.model, 'data_preprocessor': None})
    assert type(model.backbone).__name__ == 'XCiT'


def run_python_or_config(example: Example) -> None:
    code = str(example.parsed)
    is_config = any(line.startswith(('_base_', 'custom_imports', 'globals()')) for line in code.splitlines())
    (build_config if is_config else run_python)(example)


def run_commands(example: Example) -> None:
    path = f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}'
    result = subprocess.run(['bash', '-euo', 'pipefail', '-c', str(example.parsed)], capture_output=True, text=True,
                            env={**os.environ, 'PATH': path}, timeout=600)
    assert result.returncode == 0, f'{example.path}, line {example.line}: {result.stderr}'


SYBIL = Sybil([CodeBlockParser('python', run_python_or_config), CodeBlockParser('sh', run_commands), SkipParser()])


@pytest.mark.slow
@pytest.mark.parametrize('page', PAGES, ids=str)
def test_snippets_run(page, project, monkeypatch):
    monkeypatch.chdir(project)
    for example in SYBIL.parse(ROOT / page).examples():
        try:
            example.evaluate()
        except SkipTest as skipped:  # with a reason in the page
            print(f'{page}, line {example.line}: {skipped}')

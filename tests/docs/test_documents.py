"""Run the Python code, configs and commands in the documents, and check their links, names and tables."""
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from string import Template
from unittest import SkipTest

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import Runner
from PIL import Image
from pyramids import write_slide
from rasters import write_raster
from sybil import Example, Sybil
from sybil.parsers.markdown import CodeBlockParser, SkipParser

from xcit_mm.apis import init_model
from xcit_mm.config import load_config
from xcit_mm.export import exporting
from xcit_mm.inference.bands import registry as banded_modules
from xcit_mm.inference.modes import MODES
from xcit_mm.inference.results import SINKS
from xcit_mm.inference.sources import SOURCES
from xcit_mm.statistics import STATISTICS

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(path.relative_to(ROOT) for pattern in ('*.md', 'docs/*.md') for path in ROOT.glob(pattern))
CHECKPOINT = 'work_dirs/xcit_upernet_digits/iter_1000.pth'


@pytest.fixture(scope='module')
def project(tmp_path_factory, scenes):
    """Return a folder like the one ``make demo`` leaves behind, plus a photo; the weights are random."""
    folder = tmp_path_factory.mktemp('project')
    for name in ('configs', 'tools'):
        (folder / name).symlink_to(ROOT / name)
    (folder / 'data').mkdir()
    (folder / 'data/digits').symlink_to(scenes)
    photo = Image.open(next((scenes / 'images/val').iterdir()))
    photo.save(folder / 'photo.jpg')
    bands = np.asarray(photo.convert('RGB')).transpose(2, 0, 1)
    write_raster(folder / 'orthophoto.tif', bands)
    write_raster(folder / 'sentinel.tif', bands[[0, 2, 1, 0, 0]].astype(np.uint16))
    pixels = bands.transpose(1, 2, 0)
    write_slide(folder / 'slide.svs', [pixels, pixels[::2, ::2], pixels[::4, ::4]])
    (folder / CHECKPOINT).parent.mkdir(parents=True)
    torch.manual_seed(0)
    torch.save(init_model(ROOT / 'configs/xcit_upernet_digits.py').state_dict(), folder / CHECKPOINT)
    return folder


@pytest.fixture
def registries(monkeypatch):
    """Unregister everything that snippets register."""
    for registry in (MODES, SINKS, SOURCES, STATISTICS):
        monkeypatch.setattr(registry, '_module_dict', dict(registry.module_dict))
    monkeypatch.setattr(banded_modules, '_REGISTERED', dict(banded_modules._REGISTERED))
    monkeypatch.setattr(exporting, 'FILE_FORMATS', dict(exporting.FILE_FORMATS))


def run_python(example: Example) -> None:
    exec(compile(example.parsed, example.path, 'exec'), example.namespace)


def build_config(example: Example) -> None:
    """Load a config snippet (on top of one of mmseg's configs if it has no base), and build its model."""
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


@pytest.fixture
def run_commands(run_here):
    """Return a function that runs a snippet of shell commands; one that only starts tools runs in this process."""
    def run(example):
        variables, commands = {}, []
        for line in example.parsed.replace('\\\n', '').splitlines():
            words = shlex.split(Template(line).safe_substitute(variables), comments=True)
            if all('=' in word for word in words):
                variables.update(word.split('=', 1) for word in words)
            else:
                commands.append(words)
        if any(command[0] != 'python' or not command[1].startswith('tools/') for command in commands):
            return run_in_shell(example)
        for _, tool, *arguments in commands:
            assert run_here(Path(tool).stem, *arguments) is None

    return run


def run_in_shell(example: Example) -> None:
    path = f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}'
    result = subprocess.run(['bash', '-euo', 'pipefail', '-c', str(example.parsed)], capture_output=True, text=True,
                            env={**os.environ, 'PATH': path}, timeout=600)
    assert result.returncode == 0, f'{example.path}, line {example.line}: {result.stderr}'


@pytest.mark.slow
@pytest.mark.parametrize('page', PAGES, ids=str)
def test_snippets_run(page, project, registries, monkeypatch, run_commands):
    monkeypatch.chdir(project)
    sybil = Sybil([CodeBlockParser('python', run_python_or_config), CodeBlockParser('sh', run_commands), SkipParser()])
    for example in sybil.parse(ROOT / page).examples():
        try:
            example.evaluate()
        except SkipTest as skipped:  # the page gives the reason
            print(f'{page}, line {example.line}: {skipped}')


@pytest.mark.parametrize('page', PAGES, ids=str)
def test_snippets_name_their_language(page):
    languages = set(re.findall(r'^```(.*)$', (ROOT / page).read_text(), re.MULTILINE)[::2])
    assert languages <= {'python', 'sh', 'text', '{eval-rst}', '{toctree}', '{include} ../CHANGELOG.md'}


def test_link_targets_exist():
    for page in PAGES:
        for target in re.findall(r'\]\(([^)#:]+)(?:#[^)]*)?\)', (ROOT / page).read_text()):
            assert ((ROOT / page).parent / target).exists(), f'{page}: {target}'


def test_make_targets_exist():
    makefile = (ROOT / 'Makefile').read_text()
    for page in PAGES:
        for target in re.findall(r'(?:`|^)make ([a-z-]+)', (ROOT / page).read_text(), re.MULTILINE):
            assert f'\n{target}:' in makefile, f'{page}: {target}'


def test_table_of_modes_matches_the_registry():
    page = (ROOT / 'docs/high_resolution.md').read_text().partition('## Modes')[2].partition('## ')[0]
    rows = [re.split(r' *\| *', line) for line in page.splitlines() if line.startswith('| `')]
    listed = {name.strip('`'): summary for _, name, summary, *_ in rows}
    assert listed == {name: mode.summary for name, mode in MODES.module_dict.items()}


def test_tests_in_the_table_of_failures_exist():
    table = (ROOT / 'docs/troubleshooting.md').read_text().partition('|---')[2].partition('\n\n')[0].splitlines()[1:]
    assert len(table) > 20
    for row in table:
        cases = re.findall(r'`(test_\w+\.py)(?:::(\w+))?`', row)
        assert cases, row
        for name, case in cases:
            assert any(not case or f'def {case}(' in path.read_text() for path in (ROOT / 'tests').rglob(name)), (
                f'{name}::{case}')


def test_mm_packages_raise_the_documented_messages(tmp_path):
    import mmseg.models  # noqa: F401
    from mmengine.registry import Registry

    (tmp_path / 'a.py').write_text('x = 1')
    (tmp_path / 'b.py').write_text('x = 2')
    (tmp_path / 'both.py').write_text("_base_ = ['a.py', 'b.py']")
    (tmp_path / 'imports.py').write_text("from xcit_mm import config_path\n_base_ = 'a.py'")
    alone = Registry('model', scope='mmseg')  # as if xcit_mm had not been imported
    loader = dict(dataset=[1], batch_size=1, sampler=dict(type='DefaultSampler'), damaged_files='skip')
    said = []
    for provoke in (lambda: alone.build(dict(type='XCiT')), lambda: Config.fromfile(tmp_path / 'both.py'),
                    lambda: Config.fromfile(tmp_path / 'imports.py'), lambda: Runner.build_dataloader(loader),
                    lambda: alone.build(dict(type='BoundedEncoderDecoder'))):
        with pytest.raises(Exception) as error:  # noqa: B017
            provoke()
        said.append(str(error.value))
    page = (ROOT / 'docs/troubleshooting.md').read_text().partition('## Messages of the MM packages')[2]
    told = [row.split('`')[1] for row in page.splitlines() if row.startswith('| `')]
    assert len(told) > len(said)
    assert [message for message, error in zip(told, said) if message not in error] == []

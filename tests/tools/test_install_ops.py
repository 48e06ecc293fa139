import tarfile
import zipfile
from pathlib import Path

import install_ops
import pytest

from xcit_mm.errors import InputError

# A stand-in for mmcv's build: instead of compiling for minutes, it stores what a compiler would see in the wheel.
BACKEND = '''
import os, zipfile
from pathlib import Path

def build_wheel(folder, config_settings=None, metadata_directory=None):
    files = {path.as_posix(): path.read_text() for path in sorted(Path('mmcv').rglob('*.cpp'))}
    if 'MMCV_WITH_OPS' in os.environ and 'mmcv/ops/csrc/pytorch/' + BROKEN in files:
        print(BROKEN + ':2: error: redefinition of two')
        raise SystemExit('a traceback\\n' * 30)
    print('[1/2] c++')
    name = 'tiny_mmcv-1.0-py3-none-any.whl'
    with zipfile.ZipFile(Path(folder, name), 'w') as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
        wheel.writestr('flags', os.environ.get('MMCV_WITH_OPS', '') + ' ' + os.environ.get('CFLAGS', ''))
        info = 'tiny_mmcv-1.0.dist-info/'
        wheel.writestr(info + 'METADATA', 'Metadata-Version: 2.1\\nName: tiny-mmcv\\nVersion: 1.0\\n')
        wheel.writestr(info + 'WHEEL', 'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
        wheel.writestr(info + 'RECORD', '')
    return name
'''
CSRC = 'mmcv/ops/csrc/pytorch/'
SOURCES = {CSRC + 'one.cpp': 'one', CSRC + 'two.cpp': 'two', CSRC + 'pybind.cpp': 'pybind',
           CSRC + 'cpu/one.cpp': 'kernel one', CSRC + 'cpu/two.cpp': 'kernel two'}


def build(folder, monkeypatch, broken='none'):
    """Return the files in the wheel that the tool builds from ``SOURCES``, and the build steps that the tool reports.

    The build fails if the file ``broken`` is among the sources.
    """
    source = folder / 'tiny_mmcv-1.0'
    project = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    files = {'pyproject.toml': project, 'backend.py': f'BROKEN = {broken!r}\n{BACKEND}', **SOURCES}
    for path, text in files.items():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_text(text)
    with tarfile.open(folder / 'tiny_mmcv-1.0.tar.gz', 'w:gz') as archive:
        archive.add(source, source.name)
    monkeypatch.setenv('PIP_NO_INDEX', '1')
    monkeypatch.setenv('PIP_FIND_LINKS', str(folder))
    monkeypatch.setenv('CFLAGS', '-march=native')
    steps = []
    install_ops._build('tiny-mmcv', '1.0', str(folder / 'wheels'), lambda *step: steps.append(step))
    wheel, = Path(folder / 'wheels').glob('*.whl')
    with zipfile.ZipFile(wheel) as file:
        return {name: file.read(name).decode() for name in file.namelist() if 'dist-info' not in name}, steps


def test_the_bindings_compile_as_one_file_and_the_kernels_stay_separate(tmp_path, monkeypatch, capsys):
    files, steps = build(tmp_path, monkeypatch)
    assert files == {CSRC + 'bindings.cpp': 'one\ntwo', CSRC + 'pybind.cpp': 'pybind',
                     CSRC + 'cpu/one.cpp': 'kernel one', CSRC + 'cpu/two.cpp': 'kernel two',
                     'flags': '1 -march=native -g0'}
    assert steps == [(1, 2)]
    assert not capsys.readouterr().err


def test_a_failed_merge_falls_back_to_the_original_sources_and_says_so(tmp_path, monkeypatch, capsys):
    files, _ = build(tmp_path, monkeypatch, broken='bindings.cpp')
    assert files == {**SOURCES, 'flags': '1 -march=native'}
    error = capsys.readouterr().err
    assert 'bindings.cpp:2: error: redefinition of two' in error
    assert 'The fast build failed; compiling each file separately' in error


def test_sources_in_another_layout_are_not_merged(tmp_path):
    (tmp_path / 'pybind.cpp').touch()
    with pytest.raises(InputError, match='cannot merge the bindings of the ops: .* does not contain them'):
        install_ops._merge_bindings(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ['pybind.cpp']


def test_a_failed_build_shows_the_error_of_the_compiler(tmp_path, monkeypatch):
    with pytest.raises(InputError, match='building the ops of .* failed:(.|\n)*pybind.cpp:2: error: redefinition'):
        build(tmp_path, monkeypatch, broken='pybind.cpp')


def test_a_failed_download_leaves_nothing_in_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv('PIP_NO_INDEX', '1')
    monkeypatch.setattr(install_ops, '_import_error', lambda: 'none')
    monkeypatch.setattr(install_ops, '_installed_mmcv', lambda: ('xcit_mm_no_such_package', '0.0'))
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    monkeypatch.setattr(install_ops, 'BUILD_TOOLS', ('pip', ))
    with pytest.raises(InputError, match='pip download .*xcit_mm_no_such_package==0.0 failed:(.|\n)*No matching'):
        install_ops.install(lambda done, total: None)
    assert not list(tmp_path.rglob('*.whl'))

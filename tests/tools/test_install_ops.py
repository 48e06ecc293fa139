import install_ops
import pytest

from xcit_mm.errors import InputError


def test_a_failed_build_shows_the_end_of_what_the_compiler_said(tmp_path, monkeypatch):
    monkeypatch.setenv('PIP_NO_INDEX', '1')
    monkeypatch.setattr(install_ops, '_import_error', lambda: 'none')
    monkeypatch.setattr(install_ops, '_installed_mmcv', lambda: ('xcit_mm_no_such_package', '0.0'))
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    monkeypatch.setattr(install_ops, 'BUILD_TOOLS', ('pip', ))
    with pytest.raises(InputError, match='building the ops of xcit_mm_no_such_package==0.0 failed:(.|\n)*No matching'):
        install_ops.install(lambda done, total: None)
    assert not list(tmp_path.rglob('*.whl'))

"""Read file formats other than PyTorch's, and identify files that contain no weights."""
import importlib.util

import pytest
import torch

from xcit_mm import XCiT, checkpoints
from xcit_mm.errors import InputError

TINY = dict(embed_dim=16, depth=2, num_heads=2, patch_size=8)


@pytest.mark.parametrize('name', ['tiny.safetensors', 'tiny.bin', 'model.safetensors'])
def test_safetensors_load_by_path_or_folder(tmp_path, name):
    save_file = pytest.importorskip('safetensors.torch').save_file
    weights = XCiT(TINY).state_dict()
    save_file(weights, tmp_path / name)
    torch.save(XCiT(TINY).state_dict(), tmp_path / 'pytorch_model.bin')  # safetensors files take precedence
    model = XCiT(TINY)
    checkpoints.load(model, tmp_path if name == 'model.safetensors' else tmp_path / name)
    assert all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize('content', [b'', b'\x10\0\0\0\0\0\0\0{"weight":', b'\x02\0\0\0\0\0\0\0{}extra'])
def test_a_corrupt_safetensors_file_gives_one_line(tmp_path, content):
    pytest.importorskip('safetensors')
    (tmp_path / 'cut.safetensors').write_bytes(content)
    with pytest.raises(InputError, match='cut.safetensors.*corrupt|no weights in') as error:
        checkpoints.read(tmp_path / 'cut.safetensors')
    assert '\n' not in str(error.value)


def test_without_the_package_a_folder_gives_its_other_file_and_the_error_names_the_extra(tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr('xcit_mm.checkpoints.containers.find_spec',
                        lambda name: None if name == 'safetensors' else find(name))
    (tmp_path / 'model.safetensors').write_bytes(b'\x02\0\0\0\0\0\0\0{}')
    with pytest.raises(InputError, match=r"cannot read .*: reading safetensors needs .*'xcit_mm\[safetensors\]'"):
        checkpoints.read(tmp_path)
    torch.save(dict(weight=torch.ones(1)), tmp_path / 'pytorch_model.bin')
    assert checkpoints.read(tmp_path)['weight'] == 1


@pytest.mark.parametrize('content, words', [
    (b'version https://git-lfs.github.com/spec/v1\noid sha256:00\n', 'Git LFS.*git lfs pull'),
    (b'\n<!DOCTYPE html><html>', 'a web page')])
@pytest.mark.parametrize('name', ['model.safetensors', 'nano.pth'])
def test_the_error_names_what_was_downloaded_instead_of_weights(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f'cannot read the checkpoint .*{name}: it is .*{words}'):
        checkpoints.read(tmp_path / name)

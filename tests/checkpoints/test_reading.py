"""Read every kind of checkpoint file without running code; error messages name unreadable files."""
import argparse
import zipfile

import numpy as np
import pytest
import torch
from malice import Malicious
from mmengine.logging import HistoryBuffer

from xcit_mm import XCiT, checkpoints
from xcit_mm.errors import InputError

TINY = dict(embed_dim=16, depth=2, num_heads=2, patch_size=8)


class MaliciousGetattr:

    def __reduce__(self):
        return getattr, (torch.Tensor, 'share_memory_')


def save(path, content):
    torch.save(content, path)
    return path


def test_training_state_is_read_without_running_code(tmp_path):
    buffer = HistoryBuffer()
    buffer.update(1.5)
    weights = dict(weight=torch.ones(2))
    path = save(tmp_path / 'epoch_1.pth', dict(
        state_dict=weights, message_hub=dict(log=buffer), args=argparse.Namespace(lr=1)))
    content = checkpoints.read(path)
    assert content['message_hub']['log'].current() == 1.5
    assert torch.equal(checkpoints.get_state_dict(content)['weight'], weights['weight'])


@pytest.mark.parametrize('payload', [Malicious(), dict(state_dict=dict(), x=Malicious()), MaliciousGetattr()])
def test_refuses_to_run_code(tmp_path, monkeypatch, payload):
    path = save(tmp_path / 'bad.pth', payload)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match='refused to load .*bad.pth.*could run code.*--trust'):
        checkpoints.read(path)
    assert not (tmp_path / 'executed').exists()


@pytest.mark.parametrize('content', [b'', b'not a checkpoint\n', b'PK\x03\x04 truncated', {}, [1, 2]])
def test_the_error_names_a_file_that_is_not_a_checkpoint(tmp_path, content):
    path = tmp_path / 'odd.pth'
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        save(path, content)
    with pytest.raises(InputError, match='odd.pth') as error:
        checkpoints.read(path)
    assert '\n' not in str(error.value)


def test_the_error_names_a_truncated_or_missing_checkpoint(tmp_path):
    path = save(tmp_path / 'cut.pth', XCiT(TINY).state_dict())
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(InputError, match='cut.pth'):
        checkpoints.read(path)
    with pytest.raises(InputError, match='no checkpoint file .*none.pth'):
        checkpoints.read(tmp_path / 'none.pth')


@pytest.mark.parametrize('module', ['numpy.core.multiarray', 'numpy._core.multiarray'])
def test_arrays_from_numpy_1_and_2_are_read(tmp_path, module):
    path = save(tmp_path / 'old.pth', dict(array=np.arange(3.0), scalar=np.float64(2)))
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_STORED) as archive:
        for name, value in content.items():
            if name.endswith('data.pkl'):
                for written in (b'numpy._core.multiarray', b'numpy.core.multiarray'):
                    value = value.replace(b'c' + written + b'\n', b'c@\n')
                value = value.replace(b'c@\n', f'c{module}\n'.encode())
            archive.writestr(name, value)
    content = checkpoints.read(path)
    assert content['array'].tolist() == [0, 1, 2] and content['scalar'] == 2


@pytest.mark.parametrize('content', [dict(state_dict={1: torch.ones(1)}), dict(weight=1.5), dict(weight=None)])
def test_the_error_names_a_value_that_is_not_a_tensor(content):
    with pytest.raises(InputError, match="not a state dict: it must map names to tensors, but '?(1|weight)'? maps to "):
        checkpoints.get_state_dict(content)


@pytest.mark.parametrize('wrap', [
    lambda weights: weights,
    lambda weights: dict(state_dict=weights, state_dict_ema=dict(weight=torch.zeros(1))),
    lambda weights: dict(model=weights, optimizer=dict(state={})),
    lambda weights: dict(model_ema=weights),
    lambda weights: dict(student=dict(weight=torch.zeros(1)), teacher=weights, epoch=1),
    lambda weights: dict(model=dict(state_dict=weights)),
])
def test_wrappers_and_ddp_prefixes_are_removed(wrap):
    weights = checkpoints.get_state_dict(wrap({'module.weight': torch.ones(1)}))
    assert list(weights) == ['weight'] and weights['weight'] == 1


@pytest.mark.parametrize('empty', [{}, dict(state_dict={})])
def test_an_empty_state_dict_is_refused(empty):
    with pytest.raises(InputError, match='the state dict is empty'):
        checkpoints.get_state_dict(empty)

import argparse
import os
import zipfile

import golden
import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.model import PretrainedInit

from xcit_mm import XCiT, checkpoints
from xcit_mm.errors import InputError

TINY = dict(embed_dim=16, depth=2, num_heads=2, patch_size=8)


class Malicious:

    def __reduce__(self):
        return os.system, ('touch executed', )


class MaliciousGetattr:

    def __reduce__(self):
        return getattr, (torch.Tensor, 'share_memory_')


def save(path, content):
    torch.save(content, path)
    return path


def test_reads_training_state_without_running_code(tmp_path):
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
    with pytest.raises(InputError, match='refused to load .*bad.pth.*could run code'):
        checkpoints.read(path)
    assert not (tmp_path / 'executed').exists()


@pytest.mark.parametrize('content', [b'', b'not a checkpoint\n', b'PK\x03\x04 truncated', {}, [1, 2]])
def test_names_a_file_that_is_no_checkpoint(tmp_path, content):
    path = tmp_path / 'odd.pth'
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        save(path, content)
    with pytest.raises(InputError, match='odd.pth') as error:
        checkpoints.read(path)
    assert '\n' not in str(error.value)


def test_names_a_truncated_checkpoint_and_a_missing_one(tmp_path):
    path = save(tmp_path / 'cut.pth', XCiT(TINY).state_dict())
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(InputError, match='cut.pth'):
        checkpoints.read(path)
    with pytest.raises(InputError, match='no checkpoint file .*none.pth'):
        checkpoints.read(tmp_path / 'none.pth')


def test_a_classifier_of_the_authors_initialises_a_backbone(tmp_path):
    arch, weights, *_ = golden.load_case('nano_12_p16-1x3x64x96-seed11')
    dense = {key: value for key, value in weights.items() if not key.startswith('fpn')}
    classifier = dense | {'cls_token': torch.ones(1, 1, 128), 'cls_attn_blocks.0.gamma1': torch.ones(128),
                          'norm.weight': torch.ones(128), 'head.bias': torch.ones(1000)}
    path = save(tmp_path / 'classifier.pth', dict(model=classifier))
    model = XCiT(arch, init_cfg=dict(type='Pretrained', checkpoint=str(path)))
    model.init_weights()
    loaded = model.state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in dense.items())


def test_another_architecture_is_refused_and_changes_nothing(tmp_path):
    path = save(tmp_path / 'small.pth', XCiT(TINY).state_dict())
    model = XCiT(TINY | dict(embed_dim=32), init_cfg=dict(type='Pretrained', checkpoint=str(path)))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(InputError, match='does not fit XCiT: .* of another shape'):
        model.init_weights()
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


@pytest.mark.parametrize('arguments', [dict(pyramid=False), dict(out_indices=(0, 0, 0, 0))])
def test_parts_that_are_not_built_are_dropped(tmp_path, arguments):
    published = XCiT(TINY)
    path = save(tmp_path / 'dense.pth', dict(model=published.state_dict()))
    model = XCiT(TINY, init_cfg=dict(type='Pretrained', checkpoint=str(path)), **arguments)
    model.init_weights()
    assert torch.equal(model.blocks[0].gamma1, published.blocks[0].gamma1)
    with pytest.raises(InputError, match='unexpected, e.g. blocks.2'):
        checkpoints.load_backbone(model, save(tmp_path / 'deeper.pth', XCiT(TINY | dict(depth=3)).state_dict()))


@pytest.mark.parametrize('init_cfg', [
    [dict(type='Pretrained', checkpoint='none.pth')],
    dict(type=PretrainedInit, checkpoint='none.pth'),
    dict(type='Pretrained', checkpoint='none.pth', prefix='backbone.'),
    [dict(type='Pretrained', checkpoint='none.pth'), dict(type='Normal', layer='Linear')],
])
def test_no_spelling_of_pretrained_is_skipped(init_cfg):
    with pytest.raises(InputError, match='none.pth'):
        XCiT(TINY, init_cfg=init_cfg).init_weights()


@pytest.mark.parametrize('module', ['numpy.core.multiarray', 'numpy._core.multiarray'])
def test_reads_arrays_of_either_numpy(tmp_path, module):
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
def test_names_what_is_no_weight(content):
    with pytest.raises(InputError, match='no state dict: the value of'):
        checkpoints.get_state_dict(content)


@pytest.mark.parametrize('change, words', [
    (lambda weights: weights.pop('blocks.1.gamma1'), '1 missing, e.g. blocks.1.gamma1'),
    (lambda weights: weights.update(extra=torch.ones(1)), '1 unexpected, e.g. extra'),
])
def test_every_key_must_find_its_place(change, words):
    weights = XCiT(TINY).state_dict()
    change(weights)
    with pytest.raises(InputError, match=words):
        checkpoints.load(XCiT(TINY), weights)

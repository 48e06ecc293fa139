"""Extract weights from trusted files that contain whole models or objects of classes that are not installed."""
import sys
import types

import pytest
import torch
from torch import nn

from xcit_mm import XCiT, checkpoints
from xcit_mm.errors import InputError

TINY = dict(embed_dim=16, depth=2, num_heads=2, patch_size=8)


@pytest.fixture
def gone(monkeypatch):
    """Return a module for a test to delete after saving objects of its classes, as if it were not installed."""
    module = types.ModuleType('gone')
    for name, base in dict(Segmentor=nn.Module, Settings=dict, Run=object).items():
        setattr(module, name, type(name, (base, ), {'__module__': 'gone'}))
    sys.modules['gone'] = module
    yield module
    sys.modules.pop('gone', None)


def make_segmentor(kind):
    model = kind()
    model.backbone, model.neck = XCiT(TINY), nn.BatchNorm2d(2)
    return model


@pytest.mark.parametrize('legacy', [False, True])
@pytest.mark.parametrize('wrap', [lambda model: model, lambda model: dict(model=model, epoch=3),
                                  lambda model: dict(model=None, ema=model)])
def test_the_error_about_a_whole_model_says_so_and_trust_extracts_its_weights(gone, tmp_path, wrap, legacy):
    model, path = make_segmentor(gone.Segmentor), tmp_path / 'whole.pth'
    torch.save(wrap(model), path, _use_new_zipfile_serialization=not legacy)
    for missing in (False, True):
        if missing:
            del sys.modules['gone']
        with pytest.raises(InputError, match='it holds a whole model .*convert_checkpoint.py .* --trust'):
            checkpoints.read(path)
        weights = checkpoints.get_state_dict(checkpoints.read(path, trust=True))
        assert weights.keys() == model.state_dict().keys()
        assert all(torch.equal(weights[key], value) for key, value in model.state_dict().items())


def test_trust_reads_weights_beside_objects_whose_classes_are_not_installed(gone, tmp_path):
    run = gone.Run()
    run.name = 'x'
    weights = XCiT(TINY).state_dict()
    torch.save(dict(state_dict=weights, cfg=gone.Settings(lr=1), run=run), tmp_path / 'odd.pth')
    del sys.modules['gone']
    with pytest.raises(InputError, match=r'it contains gone.Settings, which could run code; .*--trust'):
        checkpoints.read(tmp_path / 'odd.pth')
    content = checkpoints.read(tmp_path / 'odd.pth', trust=True)
    assert content['cfg'] == dict(lr=1)
    assert checkpoints.load(XCiT(TINY), content).matched == len(weights)


@pytest.mark.filterwarnings('ignore::DeprecationWarning', 'ignore:.*TorchScript archive')
def test_the_error_about_torchscript_says_so_and_trust_extracts_its_weights(tmp_path):
    model, path = nn.Sequential(nn.Linear(2, 2)), tmp_path / 'script.pt'
    torch.jit.save(torch.jit.trace(model, torch.ones(1, 2)), path)
    with pytest.raises(InputError, match='it is a TorchScript program; .*convert_checkpoint.py .* --trust'):
        checkpoints.read(path)
    assert torch.equal(checkpoints.read(path, trust=True)['0.weight'], model[0].weight)


def test_a_whole_model_converts(gone, tmp_path, run_here):
    torch.save(make_segmentor(gone.Segmentor), tmp_path / 'whole.pth')
    del sys.modules['gone']
    assert run_here('convert_checkpoint', tmp_path / 'whole.pth', tmp_path / 'out.pth', '--trust') is None
    assert checkpoints.load(XCiT(TINY), tmp_path / 'out.pth').dropped.keys() == {'parts outside the backbone'}

"""The runner loads checkpoints as ``checkpoints.load`` does: strictly, and without running code."""
import pytest
import torch
from malice import Malicious
from mmengine.model import BaseModel

from xcit_mm.errors import InputError
from xcit_mm.training.runner import StrictRunner


class Toy(BaseModel):

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(2, 2)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        return [{}]


def make_runner(folder, **arguments):
    return StrictRunner(Toy(), str(folder), experiment_name=folder.name, **arguments)


def save(folder, content):
    torch.save(content, folder / 'checkpoint.pth')
    return str(folder / 'checkpoint.pth')


def test_runner_refuses_weights_that_do_not_match(tmp_path):
    path = save(tmp_path, dict(state_dict={'linear.weight': torch.ones(2, 2)}))
    with pytest.raises(InputError, match='1 missing, e.g. linear.bias'):
        make_runner(tmp_path).load_checkpoint(path)


def test_runner_does_not_run_code_from_a_checkpoint(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = save(tmp_path, dict(state_dict=Toy().state_dict(), message_hub=Malicious()))
    with pytest.raises(InputError, match='could run code'):
        make_runner(tmp_path, load_from=path).load_or_resume()
    assert not (tmp_path / 'executed').exists()


def test_runner_cannot_resume_from_weights_alone(tmp_path):
    path = save(tmp_path, dict(state_dict=Toy().state_dict()))
    with pytest.raises(InputError, match='cannot resume from .*only weights; set load_from'):
        make_runner(tmp_path, load_from=path, resume=True).load_or_resume()


def test_only_load_from_strict_false_allows_partial_loading(tmp_path):
    path = save(tmp_path, dict(state_dict={'linear.weight': torch.full((2, 2), 3.0), 'linear.bias': torch.ones(5)}))
    with pytest.raises(InputError, match='1 with a different shape'):
        make_runner(tmp_path, load_from=path).load_or_resume()
    runner = make_runner(tmp_path, load_from=path, cfg=dict(load_from_strict=False))
    runner.load_or_resume()
    assert (runner.model.linear.weight == 3).all()


def test_hooks_receive_the_weights_of_a_bare_state_dict(tmp_path):
    weights = Toy().state_dict()
    prefixed = {f'module.{key}': value for key, value in weights.items()}
    loader = dict(dataset=[dict(inputs=torch.ones(2))], batch_size=1, sampler=dict(type='DefaultSampler'))
    runner = make_runner(tmp_path, load_from=save(tmp_path, prefixed), custom_hooks=[dict(type='EMAHook')],
                         test_dataloader=loader, test_cfg=dict(), test_evaluator=[])
    runner.test()
    assert torch.equal(runner.model.linear.weight, weights['linear.weight'])

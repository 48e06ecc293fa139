"""The runner for strategies is as strict as ``StrictRunner``. (test_distributed.py runs it in several processes.)"""
import pytest
import torch
from mmengine.model import BaseModel

from xcit_mm.errors import InputError
from xcit_mm.training.strategy_runner import StrictFlexibleRunner


class Toy(BaseModel):

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(2, 2)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        return dict(loss=self.linear(inputs[0]).sum()) if mode == 'loss' else [{}]


@pytest.fixture
def make_runner(tmp_path):
    def make(strategy='SingleDeviceStrategy', **arguments):
        loader = dict(dataset=[dict(inputs=torch.ones(2))] * 2, batch_size=1, sampler=dict(type='DefaultSampler'))
        return StrictFlexibleRunner(
            Toy(), work_dir=str(tmp_path), experiment_name=tmp_path.name, strategy=dict(type=strategy),
            train_dataloader=loader, train_cfg=dict(by_epoch=False, max_iters=2), test_dataloader=loader,
            test_cfg=dict(), test_evaluator=[], optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.0)),
            default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=1, by_epoch=False)), **arguments)

    return make


def save(folder, weights):
    torch.save(dict(state_dict=weights), folder / 'weights.pth')
    return str(folder / 'weights.pth')


@pytest.mark.parametrize('action', ['train', 'test'])
def test_runner_refuses_weights_that_do_not_match(make_runner, tmp_path, action):
    path = save(tmp_path, {'linear.weight': torch.ones(2, 2)})
    with pytest.raises(InputError, match='1 missing, e.g. linear.bias'):
        getattr(make_runner(load_from=path), action)()


def test_runner_loads_weights_and_resumes(make_runner, tmp_path):
    weights = {'linear.weight': torch.full((2, 2), 3.0), 'linear.bias': torch.full((2, ), 4.0)}
    runner = make_runner(load_from=save(tmp_path, weights))
    runner.train()
    assert torch.equal(runner.model.linear.weight, weights['linear.weight'])
    assert sorted(path.name for path in tmp_path.glob('*.pth')) == ['iter_1.pth', 'iter_2.pth', 'weights.pth']
    resumed = make_runner(resume=str(tmp_path / 'iter_1.pth'))
    resumed.train()
    assert resumed.iter == 2 and torch.equal(resumed.model.linear.weight, weights['linear.weight'])


def test_runner_cannot_resume_from_weights_alone(make_runner, tmp_path):
    with pytest.raises(InputError, match='cannot resume from .*only weights; set load_from'):
        make_runner(resume=save(tmp_path, Toy().state_dict())).train()


def test_runner_cannot_resume_another_model(make_runner, tmp_path):
    path = tmp_path / 'other.pth'
    torch.save(dict(state_dict={'linear.weight': torch.ones(2, 2), 'a': torch.ones(1)}, optimizer={}), path)
    with pytest.raises(InputError, match='[(]1 unexpected and 1 missing keys[)]'):
        make_runner(resume=str(path)).train()


def test_strategy_type_may_be_a_class(make_runner):
    from mmengine._strategy import SingleDeviceStrategy

    assert type(make_runner(SingleDeviceStrategy).strategy) is SingleDeviceStrategy


def test_error_names_an_unknown_strategy(make_runner):
    with pytest.raises(InputError, match="find strategy 'FSDPStrateg': .*; use configs/_base_/strategies/fsdp.py"):
        make_runner('FSDPStrateg')


@pytest.mark.parametrize('strategy, reason', [
    ('DeepSpeedStrategy', 'would run code'), ('FSDPStrategy', 'only the same strategy on as many GPUs')])
def test_runner_refuses_strategies_with_unsafe_or_partial_checkpoints(make_runner, strategy, reason):
    with pytest.raises(InputError, match=f'cannot use {strategy}.*: .*{reason}.*; use configs/_base_/strategies'):
        make_runner(strategy)


def test_distributed_strategy_needs_a_launcher(make_runner):
    with pytest.raises(InputError, match='DDPStrategy in a single process: .*; run tools/dist_train.sh CONFIG GPUS'):
        make_runner('DDPStrategy')


def test_resuming_names_each_setting_that_the_checkpoint_overrides(make_runner, tmp_path, monkeypatch):
    messages = []
    monkeypatch.setattr('xcit_mm.training.resumption.print_log', lambda message, *args: messages.append(message))
    make_runner().train()
    resumed = make_runner(resume=f'file://{tmp_path}/iter_1.pth')
    resumed.optim_wrapper['optimizer']['lr'] = 0.5
    resumed.train()
    assert resumed.iter == 2
    assert [message.split(';')[0] for message in messages] == [
        f'file://{tmp_path}/iter_1.pth overrides optim_wrapper.optimizer.lr: 0.0 instead of 0.5']

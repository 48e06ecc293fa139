"""The runner of strategies is as strict as the other one; see test_distributed.py for several processes."""
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
def test_what_does_not_fit_is_refused(make_runner, tmp_path, action):
    path = save(tmp_path, {'linear.weight': torch.ones(2, 2)})
    with pytest.raises(InputError, match='1 missing, e.g. linear.bias'):
        getattr(make_runner(load_from=path), action)()


def test_weights_are_loaded_and_a_training_goes_on(make_runner, tmp_path):
    weights = {'linear.weight': torch.full((2, 2), 3.0), 'linear.bias': torch.full((2, ), 4.0)}
    runner = make_runner(load_from=save(tmp_path, weights))
    runner.train()
    assert torch.equal(runner.model.linear.weight, weights['linear.weight'])
    assert sorted(path.name for path in tmp_path.glob('*.pth')) == ['iter_1.pth', 'iter_2.pth', 'weights.pth']
    resumed = make_runner(resume=str(tmp_path / 'iter_1.pth'))
    resumed.train()
    assert resumed.iter == 2 and torch.equal(resumed.model.linear.weight, weights['linear.weight'])


def test_weights_alone_are_nothing_to_resume_from(make_runner, tmp_path):
    with pytest.raises(InputError, match='cannot resume from .*weights only; give it as load_from'):
        make_runner(resume=save(tmp_path, Toy().state_dict())).train()


def test_another_model_is_nothing_to_resume_from(make_runner, tmp_path):
    path = tmp_path / 'other.pth'
    torch.save(dict(state_dict={'linear.weight': torch.ones(2, 2), 'a': torch.ones(1)}, optimizer={}), path)
    with pytest.raises(InputError, match='of another model, which has 1 other keys and lacks 1'):
        make_runner(resume=str(path)).train()


def test_a_strategy_may_be_a_class(make_runner):
    from mmengine._strategy import SingleDeviceStrategy

    assert type(make_runner(SingleDeviceStrategy).strategy) is SingleDeviceStrategy


def test_an_unknown_strategy_is_named(make_runner):
    with pytest.raises(InputError, match="no strategy 'FSDPStrateg'; take configs/_base_/strategies/fsdp.py"):
        make_runner('FSDPStrateg')


@pytest.mark.parametrize('strategy', ['DeepSpeedStrategy', 'FSDPStrategy'])
def test_strategies_whose_checkpoints_are_in_pieces_are_refused(make_runner, strategy):
    with pytest.raises(InputError, match=f'{strategy} .*writes checkpoints in .*: take configs/_base_/strategies'):
        make_runner(strategy)


def test_strategies_of_several_processes_need_a_launcher(make_runner):
    with pytest.raises(InputError, match='DDPStrategy is for several processes: tools/dist_train.sh CONFIG GPUS'):
        make_runner('DDPStrategy')

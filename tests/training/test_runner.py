"""The runner loads checkpoints as ``checkpoints.load`` does: strictly, and without running code."""
import pytest
import torch
from malice import Malicious
from mmengine.hooks import Hook
from mmengine.model import BaseModel

from xcit_mm.errors import InputError
from xcit_mm.training.runner import StrictRunner


class Toy(BaseModel):

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(2, 2)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        return dict(loss=self.linear(inputs[0]).sum()) if mode == 'loss' else [{}]


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


def test_load_checkpoint_takes_strict_and_revise_keys(tmp_path):
    weights = {'old.weight': torch.full((2, 2), 3.0), 'old.bias': torch.ones(5)}
    path, runner = save(tmp_path, dict(state_dict=weights)), make_runner(tmp_path)
    with pytest.raises(InputError, match='1 with a different shape'):
        runner.load_checkpoint(path, revise_keys=[(r'^old\.', 'linear.')])
    runner.load_checkpoint(path, 'cpu', False, [(r'^old\.', 'linear.')])  # MMEngine's order of arguments
    assert (runner.model.linear.weight == 3).all()
    lenient = make_runner(tmp_path, cfg=dict(load_from_strict=False))
    with pytest.raises(InputError, match='1 with a different shape'):
        lenient.load_checkpoint(path, strict=True, revise_keys=[(r'^old\.', 'linear.')])


def test_hooks_receive_the_weights_under_the_keys_of_the_model(tmp_path):
    seen = []

    class Recorder(Hook):
        def after_load_checkpoint(self, runner, checkpoint):
            seen.extend(checkpoint['state_dict'])
            checkpoint['state_dict']['linear.bias'] = torch.full((2, ), 9.0)

    weights = {f'model.{key}': value for key, value in Toy().state_dict().items()}
    runner = make_runner(tmp_path, load_from=save(tmp_path, weights), custom_hooks=[Recorder()])
    runner.load_or_resume()
    assert seen == ['linear.weight', 'linear.bias'] and (runner.model.linear.bias == 9).all()


def make_training(folder, lr=0.1, momentum=0.9, end=4, optimizer='SGD', **arguments):
    return StrictRunner(
        Toy(), str(folder), experiment_name=f'{folder.name}{len(list(folder.iterdir()))}',
        train_dataloader=dict(dataset=[dict(inputs=torch.ones(2))] * 2, batch_size=1,
                              sampler=dict(type='DefaultSampler')),
        train_cfg=dict(by_epoch=False, max_iters=4),
        optim_wrapper=dict(optimizer=dict(type=optimizer, lr=lr, momentum=momentum)),
        param_scheduler=[dict(type='PolyLR', power=1.0, end=end, by_epoch=False)],
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=2, by_epoch=False)), **arguments)


@pytest.fixture
def warnings_of_resuming(tmp_path, monkeypatch):
    """Return a function that trains, resumes from iteration 2 with changed settings, and returns the warnings."""
    messages = []
    monkeypatch.setattr('xcit_mm.training.resumption.print_log', lambda message, *args: messages.append(message))

    def run(**changes):
        make_training(tmp_path).train()
        make_training(tmp_path, load_from=str(tmp_path / 'iter_2.pth'), resume=True, **changes).train()
        return messages

    return run


def test_resuming_with_the_same_settings_warns_about_nothing(warnings_of_resuming):
    assert warnings_of_resuming() == []


def test_resuming_names_each_setting_that_the_checkpoint_overrides(warnings_of_resuming):
    messages = warnings_of_resuming(lr=0.5, momentum=0.0, end=8)
    assert sorted(message.split(';')[0].split('overrides ')[1] for message in messages) == [
        'optim_wrapper.optimizer.lr: 0.1 instead of 0.5', 'optim_wrapper.optimizer.momentum: 0.9 instead of 0.0',
        'param_scheduler.0.end: 4 instead of 8', 'param_scheduler.0.total_iters: 3 instead of 7']


def test_resuming_from_an_optimizer_with_other_parameters_gives_one_line(tmp_path):
    make_training(tmp_path).train()
    content = torch.load(tmp_path / 'iter_2.pth', weights_only=False)
    content['optimizer']['param_groups'] *= 2
    path = save(tmp_path, content)
    with pytest.raises(InputError, match='cannot resume from .*: its optimizer or schedule does not fit the config'):
        make_training(tmp_path, load_from=path, resume=True).train()
    path = save(tmp_path, content | dict(meta=dict(epoch=1)))
    with pytest.raises(InputError, match='it lacks the progress that MMEngine saves'):
        make_training(tmp_path, load_from=path, resume=True).train()

"""Ranks rarely exchange flags, and never hang waiting for each other."""
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
from mmengine.hooks import CheckpointHook

from xcit_mm.training.hooks.ranks import is_check

UNEVEN = """
import sys
import torch
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from xcit_mm.training.runner import StrictRunner

class Toy(BaseModel):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(2, 2)
        self.unused = torch.nn.Linear(2, 2)
    def forward(self, inputs, data_samples=None, mode='tensor'):
        return dict(loss=self.linear(torch.stack(inputs)).sum()) if mode == 'loss' else [{}] * len(inputs)

class Count(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results += data_samples
    def compute_metrics(self, results):
        return dict(count=len(results))

data = [dict(inputs=torch.ones(2), data_samples={})] * 3
sampler = dict(type='DefaultSampler', shuffle=False)
runner = StrictRunner(
    Toy(), sys.argv[1], launcher='pytorch', cfg=dict(find_unused_parameters=True),
    train_dataloader=dict(dataset=data, batch_size=1, sampler=sampler),
    val_dataloader=dict(dataset=data * 6 + data[:1], batch_size=1, sampler=dict(sampler, round_up=False)),
    optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)), train_cfg=dict(by_epoch=True, max_epochs=2),
    val_cfg=dict(), val_evaluator=[Count()], default_hooks=dict(checkpoint=None, logger=None))
runner.train()
assert runner.model.find_unused_parameters
print('finished')
"""


@pytest.mark.slow
def test_uneven_validation_and_unused_parameters_train_on_two_ranks(tmp_path):
    (tmp_path / 'uneven.py').write_text(UNEVEN)
    result = subprocess.run(
        [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=2', 'uneven.py',
         str(tmp_path / 'run')], cwd=tmp_path, env={**os.environ, 'OMP_NUM_THREADS': '1'}, capture_output=True,
        text=True, timeout=120)
    assert result.returncode == 0 and result.stdout.count('finished') == 2, result.stderr


def test_checks_are_rare_but_precede_checkpoints_and_validations():
    runner = SimpleNamespace(
        train_loop=SimpleNamespace(val_interval=7), hooks=[CheckpointHook(interval=4, by_epoch=False)], max_iters=25,
        train_dataloader=range(1000))
    checks = []
    for runner.iter in range(25):
        if is_check(runner, runner.iter):
            checks.append(runner.iter + 1)
    assert checks == [4, 7, 8, 10, 12, 14, 16, 20, 21, 24, 25]

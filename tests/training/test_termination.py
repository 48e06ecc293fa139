"""Training saves a checkpoint on SIGTERM and can resume from it."""
import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
import torch
from interference import At, make_invalid
from mmengine.utils import manager

from xcit_mm.errors import InputError


def test_sigterm_saves_a_checkpoint_that_training_resumes_from(train, tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as exit_:
        train(5, [At(2, lambda runner: os.kill(os.getpid(), signal.SIGTERM))])
    assert exit_.value.code == 143 and signal.getsignal(signal.SIGTERM) is before
    assert (tmp_path / 'run/last_checkpoint').read_text() == str(tmp_path / 'run/iter_3.pth')
    begun = []
    runner = train(5, [At(3, lambda runner: begun.append(runner.iter))], resume=True)
    assert begun == [3] and runner.iter == 5 and signal.getsignal(signal.SIGTERM) is before


def terminate(runner):
    """Send SIGTERM to the whole job, workers included, as launchers do."""
    processes = [*psutil.Process().children(recursive=True), psutil.Process()]
    subprocess.run(['kill', *(str(process.pid) for process in processes)], check=True)
    time.sleep(0.5)  # gives a worker time to die


@pytest.mark.slow
def test_workers_survive_sigterm(train, tmp_path):
    with pytest.raises(SystemExit):
        train(5, [At(2, terminate)], **{'train_dataloader.num_workers': 1})
    assert torch.load(tmp_path / 'run/iter_3.pth', weights_only=False)['meta']['iter'] == 3


@pytest.mark.slow
def test_sigterm_interrupts_a_validation(train, tmp_path):
    changes = {'train_cfg.val_interval': 3, 'default_hooks.checkpoint.interval': 100}
    with pytest.raises(SystemExit):
        train(5, [At(3, terminate, loop='val')], **changes)
    assert torch.load(tmp_path / 'run/iter_3.pth', weights_only=False)['meta']['iter'] == 3
    begun = []
    train(5, [At(3, lambda runner: begun.append(runner.iter))], resume=True, **changes)
    assert begun == [3]


def test_failed_training_restores_the_signal_handler(train):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(InputError):
        train(5, [At(1, make_invalid)])
    assert signal.getsignal(signal.SIGTERM) is before


def test_training_runs_in_another_thread(train):
    # MMEngine raises some errors without releasing its lock, so this thread may still hold it after an earlier test.
    while manager._lock._is_owned():
        manager._lock.release()
    with ThreadPoolExecutor() as pool:
        assert pool.submit(train, 2).result().iter == 2

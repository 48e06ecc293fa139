"""Images are processed one after another, by one process or several, and failures are reported once."""
import os
import signal
from pathlib import Path

import pytest
import torch
from torch.distributed import HashStore

from xcit_mm.errors import InputError
from xcit_mm.many_files import Ranks, for_each_image


@pytest.mark.parametrize('error, words', [
    (InputError('not enough memory'), 'cannot process b.png: not enough memory'),
    (InputError('cannot read b.png: it is damaged'), 'cannot read b.png: it is damaged'),
    (torch.OutOfMemoryError('CUDA\nmore'), 'cannot process b.png: OutOfMemoryError: CUDA'),
    (MemoryError(), 'cannot process b.png: MemoryError'), (OSError(28, 'No space left'), 'b.png: OSError: .*No space')])
def test_a_failure_names_its_image_and_the_others_are_processed(capsys, error, words):
    done = []

    def work(path, advance):
        if path.name == 'b.png':
            raise error
        done.append(path.name)

    with pytest.raises(InputError, match='^cannot process 1 of 3 images .named above.; the others were processed$'):
        for_each_image([Path('a.png'), Path('b.png'), Path('c.png')], work)
    assert done == ['a.png', 'c.png'] and len(capsys.readouterr().out.split(words.split(':')[0])) == 2
    with pytest.raises(InputError, match=f'^{words}' if words.startswith('cannot') else words):
        for_each_image([Path('b.png')], work)


def test_two_processes_share_images_largest_first_and_only_rank_0_reports(capsys, tmp_path):
    for name, size in dict(small=1, large=9, bad=5, middle=3).items():
        (tmp_path / name).write_bytes(bytes(size))
    images, store, done = sorted(tmp_path.iterdir()), HashStore(), []

    def work(path, advance):
        advance(0.5)
        if path.name == 'bad':
            raise InputError(f'cannot read {path}')
        done.append(path.name)
        return 'whole' if path.name == 'small' else 'banded'

    ranks = [Ranks(store, rank, size=2) for rank in range(2)]
    assert ranks[0].claim(tmp_path / 'middle')  # as if rank 0 were processing it
    assert for_each_image(images, work, ranks[1]).used == ['banded', 'whole']
    assert done == ['large', 'small'] and capsys.readouterr().out == f'cannot read {tmp_path}/bad\n'
    with pytest.raises(InputError, match='^cannot process 1 of 4 images'):
        for_each_image(images, work, ranks[0])
    assert done == ['large', 'small']
    restarted = Ranks(store, rank=0, size=1, attempt=1)
    assert restarted.restarted and for_each_image(images[2:], work, restarted).used == ['banded', 'whole']


def test_sigterm_runs_the_clean_up(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as exit_:
        for_each_image([tmp_path], lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    assert exit_.value.code == 143 and signal.getsignal(signal.SIGTERM) is before

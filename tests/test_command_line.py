import sys
import threading
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from xcit_mm.command_line import (
    for_each_image,
    formatter_lock,
    run,
    runner_config,
    runner_parser,
    write_formatter_cache,
)
from xcit_mm.errors import InputError


def test_run_prints_input_errors_only_in_one_line():
    def fail():
        raise InputError('unknown colour')

    with pytest.raises(SystemExit, match='^error: unknown colour$'):
        run(fail)


def test_only_debug_shows_the_traceback_of_an_unexpected_error(monkeypatch):
    with pytest.raises(SystemExit, match='^error: ZeroDivisionError: division by zero; add --debug to see the trace'):
        run(lambda: 1 / 0)
    monkeypatch.setattr('sys.argv', ['tool', '--debug', 'a'])
    with pytest.raises(ZeroDivisionError):
        run(lambda: 1 / 0)
    assert sys.argv == ['tool', 'a']


def test_interruption_prints_no_traceback(capsys):
    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as exit_:
        run(interrupt)
    assert exit_.value.code == 130 and capsys.readouterr().err == 'interrupted\n'


def test_runner_config_applies_the_arguments(tmp_path, monkeypatch):
    (tmp_path / 'a.py').write_text("data_root = 'data'\nmodel = dict(type='XCiT')\ntest = dict(data_root=data_root)\n")
    monkeypatch.setenv('LOCAL_RANK', '3')  # set by torchrun; overrides the legacy argument
    parser = runner_parser('description')
    arguments = [str(tmp_path / 'a.py'), '--work-dir', 'here', '--launcher', 'pytorch', '--local-rank', '1',
                 '--cfg-options', 'data_root=/d', 'model.depth=2']
    config = runner_config(parser.parse_args(arguments))
    assert (config.work_dir, config.launcher, config.data_root) == ('here', 'pytorch', '/d')
    assert config.model == dict(type='XCiT', depth=2)
    assert runner_config(parser.parse_args(arguments[:1])).work_dir == 'work_dirs/a'


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


def test_processes_do_not_read_a_cache_of_yapf_that_another_one_is_writing(monkeypatch, tmp_path):
    monkeypatch.setattr('tempfile.tempdir', str(tmp_path))
    done = threading.Event()
    with FileLock(formatter_lock()):
        thread = threading.Thread(target=lambda: (write_formatter_cache(), done.set()))
        thread.start()
        assert not done.wait(0.3)
    assert done.wait(60)
    thread.join()

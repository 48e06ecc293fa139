import sys
import threading
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from xcit_mm.command_line import formatter_lock, run, runner_config, runner_parser, write_formatter_cache
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


@pytest.mark.skipif(sys.platform != 'linux', reason='looks at threads in /proc')
def test_no_thread_of_a_process_group_survives_the_tool(tmp_path):
    def threads():
        return [task.joinpath('comm').read_text().strip() for task in Path('/proc/self/task').iterdir()]

    def main():
        torch.distributed.init_process_group('gloo', init_method=f'file://{tmp_path}/store', rank=0, world_size=1)
        cycle = [torch.distributed.group.WORLD]
        cycle.append(cycle)  # like a sharded model, which refers to the group, and to itself
        assert any('gloo' in name for name in threads())

    run(main)
    assert not any('gloo' in name for name in threads())


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


def test_processes_do_not_read_a_cache_of_yapf_that_another_one_is_writing(monkeypatch, tmp_path):
    monkeypatch.setattr('tempfile.tempdir', str(tmp_path))
    done = threading.Event()
    with FileLock(formatter_lock()):
        thread = threading.Thread(target=lambda: (write_formatter_cache(), done.set()))
        thread.start()
        assert not done.wait(0.3)
    assert done.wait(60)
    thread.join()

"""Benchmarks measure FLOPs and bytes correctly, let contenders take turns, and write strict JSON."""
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks import contenders, measurement, one_image, plot, record
from benchmarks.table import to_markdown
from PIL import Image

from xcit_mm.errors import InputError

CPU = torch.device('cpu')


def test_flops_are_two_per_multiply_add():
    layer, x = torch.nn.Linear(8, 4, bias=False), torch.randn(10, 8)
    assert measurement.count_flops(lambda: layer(x)) == 2 * 10 * 8 * 4


@pytest.mark.parametrize('scale', [1, 2])
def test_flops_of_both_forms_match_their_formulas(scale):
    channels, heads, tokens = 32, 4, 500 * scale
    runs = contenders.forward_runs(contenders.attention_layers(channels, heads), torch.randn(1, tokens, channels))
    flops = {form: measurement.count_flops(run) for form, run in runs.items()}
    width, augmented = channels // heads, channels + 1
    assert flops['direct'] == 2 * tokens * (4 * channels**2 + 2 * channels * width)
    small = 2 * channels * augmented**2 + 2 * channels * width * augmented + channels**2 * augmented
    gram = int(2 * (1.75 * tokens * channels**2 + small))
    assert flops['gram'] == gram
    layer, x = contenders.attention_layers(channels, heads)['gram'], torch.randn(1, tokens, channels)
    assert measurement.count_flops(lambda: layer.add_to(x, x, x[:, :1])) == gram


def test_peak_memory_is_that_of_the_tensors():
    def run():
        a = torch.ones(1 << 20)
        b = a + 1  # two tensors of 4 MiB exist at the same time
        del a
        return b + 1

    assert measurement.peak_memory(run, CPU) == pytest.approx(8 << 20, rel=1e-3)


def test_saved_bytes_are_counted_once_and_without_parameters():
    layer, x = torch.nn.Linear(64, 64), torch.randn(1000, 64).requires_grad_()
    assert measurement.count_saved_bytes(lambda: layer(x)) == x.nbytes
    assert measurement.count_saved_bytes(lambda: layer(x) * x) == 2 * x.nbytes


@pytest.fixture
def clock(monkeypatch):
    """Replace the clock with one that only tests advance, so that results do not depend on the machine's speed."""
    seconds = [0.0]
    monkeypatch.setattr(measurement, 'timer', lambda: seconds[0])
    return seconds


def test_contenders_take_turns_in_rotating_order(clock):
    order = []

    def run(name, seconds):
        order.append(name)
        clock[0] += seconds

    rows = measurement.compare({'a': partial(run, 'a', 0.03), 'b': partial(run, 'b', 0.06)}, 4, CPU)
    assert order[-8:] == list('abbaabba')
    assert [row['contender'] for row in rows] == ['a', 'b'] and all(len(row['times_s']) == 4 for row in rows)
    assert rows[0]['ratio'] == 1 and rows[1]['ratio'] == pytest.approx(2)


def test_short_runs_are_repeated_within_a_turn(clock):
    count = []

    def run():
        count.append(1)
        clock[0] += 0.0025

    row, = measurement.compare({'a': run}, 2, CPU)
    untimed = 4  # runs that measure FLOPs, saved bytes and peak memory, and estimate the time
    assert len(count) == untimed + 2 * 8 and row['median_s'] == pytest.approx(0.0025)


@pytest.fixture
def two_threads():
    """Run torch with two threads, to reveal whether a benchmark changes the thread count."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
@pytest.mark.parametrize('arguments', [
    ('attention', '--channels', '16', '--heads', '2', '--tokens', '20', '50', '--backward'),
    ('backbone', '--arch', 'nano_12_p16', '--sizes', '32', '64', '--no-peers'),
    ('train', '--arch', 'nano_12_p16', '--sizes', '64', '--no-peers', '--batch', '2', '--dtype', 'bfloat16'),
    ('inference', 'configs/xcit_upernet_digits.py', '--sizes', '64', '--modes', 'banded', 'whole'),
    ('convolution', '--channels', '4', '8', '--rows', '2', '--width', '6'),
    ('products', '--channels', '8', '--tokens', '20', '50'),
    ('head', '--channels', '8', '--sizes', '64', '128'),
    ('head', '--channels', '8', '--sizes', '64', '--batch', '2', '--backward'),
])
def test_benchmark_writes_json_table_and_picture(run_here, two_threads, capsys, tmp_path, arguments):
    path = tmp_path / 'results.json'
    assert run_here('benchmark', *arguments, '--rounds', 2, '--threads', 1, '--out', path) is None
    environment, rows = plot.read(path)
    assert environment['threads'] == 1 and 'torch' in environment['versions'] and environment['commit']
    assert all(row['median_s'] > 0 and row['flops'] > 0 and row['benchmark'] == arguments[0] for row in rows)
    assert run_here('plot_benchmarks', path, '--out', tmp_path / 'pictures') is None
    assert to_markdown(rows) in capsys.readouterr().out
    assert Image.open(tmp_path / 'pictures/results.png').width > 500


@pytest.mark.slow
def test_every_way_gives_the_same_labels():
    image = np.random.default_rng(0).integers(0, 256, (560, 640, 3), np.uint8)  # windows of 512 px slide both ways
    baseline, *others = (one_image.build(Path('configs/xcit_upernet_digits.py'), way)(image) for way in one_image.WAYS)
    assert baseline.shape == (560, 640)
    for way, labels in zip(one_image.WAYS[1:], others):
        assert 'slide' in way or (labels != baseline).sum() < 0.01 * baseline.numel(), way


@pytest.mark.slow
def test_results_record_a_way_that_runs_out_of_memory(run_here, capsys, tmp_path):
    path, ways = tmp_path / 'results.json', ['banded', 'mmseg-whole']
    # For the large image, the two ways need 1.1 GB and more than 1.7 GB; the limit is in between.
    assert run_here('benchmark', 'resolution', 'configs/xcit_upernet_digits.py', '--sizes', '600x300', '2400x2400',
                    '--ways', *ways, '--rounds', 1, '--limit', '1.5GB', '--out', path) is None
    _, rows = plot.read(path)
    *small, large, failed = rows
    assert [(row['contender'], row['width'], row['height']) for row in rows] == [
        (way, *size) for size in ((600, 300), (2400, 2400)) for way in ways]
    assert all(row['median_s'] > 0 and row['labels_differ'] < 0.01 * 600 * 300 for row in small)
    assert large['ratio'] == 1 and failed['failed'] == 'more than 1.5 GB'
    assert not {'median_s', 'ratio', 'labels_differ'} & set(failed)
    assert run_here('plot_benchmarks', path, '--out', tmp_path) is None
    table = to_markdown(rows)
    assert table in capsys.readouterr().out
    assert table.splitlines()[-1] == '|  | mmseg-whole |  |  |  |  | more than 1.5 GB |  |  |'


def test_results_are_strict_json(tmp_path):
    with pytest.raises(ValueError):
        record.write(tmp_path / 'x.json', {}, [dict(median_s=float('nan'))])
    assert not (tmp_path / 'x.json').exists()


@pytest.mark.parametrize('content', ['', '[]', '{"results": []}'])
def test_error_names_a_file_that_is_not_a_benchmark(tmp_path, content):
    path = tmp_path / 'other.json'
    path.write_text(content)
    with pytest.raises(InputError, match='other.json: not a benchmark file'):
        plot.read(path)
    with pytest.raises(InputError, match='no such file; create it with'):
        plot.read(tmp_path / 'none.json')


def test_table_shows_ratios_and_growth():
    def row(size, contender, seconds, ratio):
        return dict(benchmark='backbone', size=size, contender=contender, median_s=seconds, iqr_s=0.001, ratio=ratio,
                    ratio_iqr=0.1, times_s=[], peak_memory_bytes=2_000_000, saved_bytes=0, flops=3_000_000_000)

    lines = to_markdown([row(100, 'a', 1.0, 1.0), row(100, 'b', 2.0, 2.0), row(200, 'a', 4.0, 1.0)]).splitlines()
    assert lines[2] == '| 100 | a | 1000.0 | 1.0 | 1.00 | 0.10 | 2 | 0 | 3.0 |  |'
    assert lines[3] == '|  | b | 2000.0 | 1.0 | 2.00 | 0.10 | 2 | 0 | 3.0 |  |'
    assert lines[4] == '| 200 | a | 4000.0 | 1.0 | 1.00 | 0.10 | 2 | 0 | 3.0 | 1.00 |'


DOCUMENT = Path(__file__).resolve().parents[2] / 'docs/benchmarks.md'


@pytest.mark.parametrize('name', [
    'attention', 'attention_backward', 'break_even', 'backbone_p16', 'backbone_p8', 'train', 'inference', 'head',
    'convolution', 'resolution', 'resolution_2048', 'products_amd', 'backbone_p16_amd', 'backbone_p16_amd_bfloat16',
    'resolution_2048_amd', 'resolution_24mp_amd'])
def test_document_shows_the_recorded_results(name):
    path = DOCUMENT.with_suffix('') / f'{name}.json'
    environment, results = plot.read(path)
    text = DOCUMENT.read_text()
    assert to_markdown(results) in text
    assert environment['command'] in text and f'benchmarks/{path.stem}.png' in text
    assert path.with_suffix('.png').exists()

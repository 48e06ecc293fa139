"""Measure speed and memory, contenders in turns in one process: a table, and strict JSON."""
import argparse
from collections.abc import Iterator
from pathlib import Path

import torch

from xcit_mm.benchmarks import contenders, record
from xcit_mm.benchmarks.measurement import Run, compare
from xcit_mm.benchmarks.table import show
from xcit_mm.command_line import run
from xcit_mm.errors import InputError

Case = tuple[dict, dict[str, Run]]  # what is measured, and the contenders


def parse_args() -> argparse.Namespace:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument('--device', default='cpu', type=torch.device, help='e.g. cuda (default: cpu)')
    common.add_argument('--dtype', default='float32', choices=['float32', 'bfloat16', 'float16'],
                        help='the half precisions run under autocast')
    common.add_argument('--threads', type=int, help="CPU threads (default: torch's choice)")
    common.add_argument('--rounds', type=int, default=10, help='timed runs of each contender')
    common.add_argument('--out', type=Path, required=True, metavar='JSON', help='file to write')
    batch = argparse.ArgumentParser(add_help=False)
    batch.add_argument('--batch', type=int, default=1)

    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest='benchmark', required=True)
    attention = commands.add_parser('attention', parents=[common, batch], help='one XCA layer, both forms')
    attention.add_argument('--channels', type=int, default=384)
    attention.add_argument('--heads', type=int, default=8)
    attention.add_argument('--tokens', type=int, nargs='+', default=[196, 1024, 4096, 16384])
    attention.add_argument('--backward', action='store_true', help='forward and backward pass')
    for name, text in (('backbone', 'inference of backbones'), ('train', 'a training step of backbones')):
        backbone = commands.add_parser(name, parents=[common, batch], help=text)
        backbone.add_argument('--arch', default='small_12_p16')
        backbone.add_argument('--sizes', type=int, nargs='+', default=[224, 512, 1024, 2048],
                              help='sides of square images, px')
        backbone.add_argument('--no-peers', action='store_true', help='our own forms only')
    inference = commands.add_parser('inference', parents=[common], help='image to label map')
    inference.add_argument('configs', type=Path, nargs='+', metavar='CONFIG')
    inference.add_argument('--sizes', type=int, nargs='+', default=[512, 1024])
    return parser.parse_args()


def cases(args: argparse.Namespace) -> Iterator[Case]:
    """Each case of a benchmark in turn: what it measures, and its contenders."""
    torch.manual_seed(0)
    device, dtype = args.device, getattr(torch, args.dtype)
    if args.benchmark == 'inference':
        models = contenders.under_autocast(contenders.segmentors(args.configs, device), device, dtype)
        for size in args.sizes:
            yield dict(size=size), contenders.inference_runs(models, size)
    elif args.benchmark == 'attention':
        layers = contenders.under_autocast(contenders.attention_layers(args.channels, args.heads), device, dtype)
        facts = dict(channels=args.channels, heads=args.heads, backward=args.backward)
        for tokens in args.tokens:
            x = torch.randn(args.batch, tokens, args.channels, device=device)
            runs = (contenders.training_runs(layers, x, step=False) if args.backward
                    else contenders.forward_runs(layers, x))
            yield facts | dict(tokens=tokens, batch=args.batch), runs
    else:
        modules = contenders.backbones(args.arch, with_peers=not args.no_peers)
        modules = contenders.under_autocast(modules, device, dtype)
        for size in args.sizes:
            x = torch.randn(args.batch, 3, size, size, device=device)
            runs = (contenders.training_runs(modules, x, step=True) if args.benchmark == 'train'
                    else contenders.forward_runs(modules, x))
            yield dict(arch=args.arch, size=size, batch=args.batch), runs


def main() -> None:
    args = parse_args()
    if args.device.type == 'cuda' and not torch.cuda.is_available():
        raise InputError('--device cuda needs a GPU, and torch sees none')
    if args.threads:
        torch.set_num_threads(args.threads)
    environment, results = record.describe_environment(), []
    for facts, runs in cases(args):
        facts = dict(benchmark=args.benchmark, device=args.device.type, dtype=args.dtype) | facts
        rows = [facts | row for row in compare(runs, args.rounds, args.device)]
        show(rows)
        results += rows
        record.write(args.out, environment, results)  # after every case: a long run that is stopped keeps what it has


if __name__ == '__main__':
    run(main)

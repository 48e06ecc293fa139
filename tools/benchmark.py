"""Measure the speed and memory use of contenders that take turns, print a table and write strict JSON."""
import argparse
import copy
from collections.abc import Iterator
from pathlib import Path

import torch
from benchmarks import contenders, record, runtimes
from benchmarks.measurement import Run, compare
from benchmarks.one_image import WAYS
from benchmarks.processes import compare_ways
from benchmarks.table import show

from xcit_mm.command_line import run
from xcit_mm.errors import InputError
from xcit_mm.inference.memory import parse_bytes
from xcit_mm.inference.modes import MODES

Case = tuple[dict, dict[str, Run]]  # facts about the case, and the contenders by name


def common_options() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument('--device', default='cpu', type=torch.device, help='e.g. cuda (default: %(default)s)')
    common.add_argument('--dtype', default='float32', choices=['float32', 'bfloat16', 'float16'],
                        help='half precision runs under autocast (default: %(default)s)')
    common.add_argument('--threads', type=int, help="CPU threads (default: torch's choice)")
    common.add_argument('--rounds', type=int, default=10, help='timed runs per contender (default: %(default)s)')
    common.add_argument('--out', type=Path, required=True, metavar='JSON', help='file to write')
    return common


def parse_args() -> argparse.Namespace:
    common, batch = common_options(), argparse.ArgumentParser(add_help=False)
    batch.add_argument('--batch', type=int, default=1)

    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest='benchmark', required=True)
    attention = commands.add_parser('attention', parents=[common, batch], help='both forms of one XCA layer')
    attention.add_argument('--channels', type=int, default=384)
    attention.add_argument('--heads', type=int, default=8)
    attention.add_argument('--tokens', type=int, nargs='+', default=[196, 1024, 4096, 16384])
    attention.add_argument('--backward', action='store_true', help='forward and backward pass')
    for name, text in (('backbone', 'inference with backbones'), ('train', 'a training step with backbones')):
        backbone = commands.add_parser(name, parents=[common, batch], help=text)
        backbone.add_argument('--arch', default='small_12_p16')
        backbone.add_argument('--sizes', type=int, nargs='+', default=[224, 512, 1024, 2048],
                              help='sides of square images, px')
        backbone.add_argument('--no-peers', action='store_true', help='measure only our own backbone')
    commands.choices['backbone'].add_argument(
        '--runtimes', action='store_true', help='also compile XCiT trunks, and run them on ONNX Runtime and OpenVINO')
    inference = commands.add_parser('inference', parents=[common], help='from image to label map')
    inference.add_argument('configs', type=Path, nargs='+', metavar='CONFIG')
    inference.add_argument('--sizes', type=int, nargs='+', default=[512, 1024])
    inference.add_argument('--modes', nargs='+', choices=sorted(MODES.module_dict), default=['auto'])
    convolution = commands.add_parser('convolution', parents=[common], help="the 3x3 convolution of bands, and torch's")
    convolution.add_argument('--channels', type=int, nargs='+', default=[64, 128, 192, 256, 384, 512])
    convolution.add_argument('--rows', type=int, default=16, help='rows of the band')
    convolution.add_argument('--width', type=int, default=512, help='width of the band, px')
    dense = commands.add_parser('products', parents=[common], help='tokens times a weight, by MKL and by oneDNN')
    dense.add_argument('--channels', type=int, default=384, help='of the tokens; the product has four times as many')
    dense.add_argument('--tokens', type=int, nargs='+', default=[256, 1024, 4096, 16384])
    heads = commands.add_parser('head', parents=[common, batch], help="mmseg's UPerHead and ours, on random maps")
    heads.add_argument('--channels', type=int, default=384, help='channels of the maps')
    heads.add_argument('--sizes', type=int, nargs='+', default=[512, 1024])
    heads.add_argument('--backward', action='store_true', help='forward and backward pass')
    resolution = commands.add_parser('resolution', help='one image through a UPerNet, in several ways')
    resolution.add_argument('config', type=Path)
    resolution.add_argument('--sizes', type=_size, nargs='+', required=True, metavar='WIDTHxHEIGHT')
    resolution.add_argument('--ways', nargs='+', choices=WAYS, default=list(WAYS))
    resolution.add_argument('--rounds', type=int, default=3, help='processes for each way (default: %(default)s)')
    resolution.add_argument('--limit', type=parse_bytes, default='20GB', metavar='SIZE',
                            help='memory limit of a process (default: %(default)s)')
    resolution.add_argument('--out', type=Path, required=True, metavar='JSON', help='file to write')
    return parser.parse_args()


def _size(text: str) -> tuple[int, int]:
    width, height = text.lower().split('x')
    return int(width), int(height)


def cases(args: argparse.Namespace) -> Iterator[Case]:
    """Yield each case of a benchmark: the facts about it, and its contenders."""
    torch.manual_seed(0)
    device, dtype = args.device, getattr(torch, args.dtype)
    if args.benchmark == 'inference':
        models = contenders.under_autocast(contenders.segmentors(args.configs, device), device, dtype)
        for size in args.sizes:
            yield dict(size=size), contenders.inference_runs(models, args.modes, size)
    elif args.benchmark == 'convolution':
        for channels in args.channels:
            runs = contenders.convolution_runs(channels, args.rows, args.width)
            yield dict(channels=channels, rows=args.rows, width=args.width), runs
    elif args.benchmark == 'products':
        for tokens in args.tokens:
            runs = contenders.product_runs(tokens, args.channels)
            yield dict(channels=args.channels, tokens=tokens), runs
    elif args.benchmark == 'attention':
        layers = contenders.under_autocast(contenders.attention_layers(args.channels, args.heads), device, dtype)
        facts = dict(channels=args.channels, heads=args.heads, backward=args.backward)
        for tokens in args.tokens:
            x = torch.randn(args.batch, tokens, args.channels, device=device)
            runs = (contenders.training_runs(layers, x, step=False) if args.backward
                    else contenders.forward_runs(layers, x))
            yield facts | dict(tokens=tokens, batch=args.batch), runs
    elif args.benchmark == 'head':
        heads = contenders.under_autocast(contenders.heads(args.channels), device, dtype)
        facts = dict(channels=args.channels, backward=args.backward, batch=args.batch)
        for size in args.sizes:
            x = torch.randn(args.batch, contenders.pyramid_pixels(size), args.channels, device=device)
            runs = (contenders.training_runs(heads, x, step=False) if args.backward
                    else contenders.forward_runs(heads, x))
            yield facts | dict(size=size), runs
    else:
        modules = contenders.backbones(args.arch, with_peers=not args.no_peers)
        trunks = {name: copy.deepcopy(module).eval() for name, module in modules.items() if name in contenders.TRUNKS}
        modules = contenders.under_autocast(modules, device, dtype)
        for size in args.sizes:
            x = torch.randn(args.batch, 3, size, size, device=device)
            if args.benchmark == 'train':
                runs = contenders.training_runs(modules, x, step=True)
            else:
                runs = contenders.forward_runs(modules, x)
                if args.runtimes:
                    runs |= runtimes.runtime_runs(trunks, x, dtype)
                    runs |= runtimes.compiled_runs(trunks, x) if dtype == torch.float32 else {}
            yield dict(arch=args.arch, size=size, batch=args.batch), runs


def measure(args: argparse.Namespace) -> Iterator[list[dict]]:
    """Measure one case at a time, and yield its rows, one per contender."""
    if args.benchmark == 'resolution':
        for width, height in args.sizes:
            facts = dict(benchmark='resolution', device='cpu', dtype='float32', config=args.config.stem, width=width,
                         height=height, megapixels=width * height / 1e6)
            yield [facts | row for row in compare_ways(args.config, args.ways, width, height, args.rounds, args.limit)]
        return
    for facts, runs in cases(args):
        facts = dict(benchmark=args.benchmark, device=args.device.type, dtype=args.dtype) | facts
        yield [facts | row for row in compare(runs, args.rounds, args.device)]


def set_up_torch(args: argparse.Namespace) -> None:
    if args.device.type == 'cuda' and not torch.cuda.is_available():
        raise InputError('cannot use --device cuda: torch did not find a GPU; omit the option to measure on the CPU')
    if args.benchmark == 'products' and (args.device.type, args.dtype) != ('cpu', 'float32'):
        raise InputError('benchmark products compares the float32 products of CPU libraries; leave out --device and '
                         '--dtype')
    if getattr(args, 'runtimes', False) and (args.device.type != 'cpu' or args.dtype == 'float16'):
        raise InputError('--runtimes runs on the CPU in float32 or bfloat16; leave out --runtimes, or choose these')
    if args.threads:
        torch.set_num_threads(args.threads)


def main() -> None:
    args = parse_args()
    if args.benchmark != 'resolution':
        set_up_torch(args)
    environment, results = record.describe_environment(), []
    for rows in measure(args):
        show(rows)
        results += rows
        record.write(args.out, environment, results)  # after every case, so that an interrupted run keeps its results


if __name__ == '__main__':
    run(main)

"""Export a segmentor or its backbone to ONNX or torch.export, and compare the file with the model."""
import argparse
from pathlib import Path

from mmengine.config import DictAction
from rich.console import Console
from rich.table import Table

from xcit_mm.apis import init_model
from xcit_mm.command_line import run
from xcit_mm.config import load_config
from xcit_mm.export import export, require_format


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', nargs='?', help='file or URL (default: random weights)')
    parser.add_argument('--out', type=Path, required=True, metavar='FILE', help='model.onnx or model.pt2')
    parser.add_argument('--backbone-only', action='store_true', help='leave out neck and head')
    parser.add_argument('--size', nargs=2, type=int, default=(512, 512), metavar=('HEIGHT', 'WIDTH'),
                        help='compare and time at this size and two near it (default: 512 512); any size works')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='override settings of the config')
    args = parser.parse_args()
    require_format(args.out)
    model = init_model(load_config(args.config, args.cfg_options), args.checkpoint)
    console = Console(width=100)
    facts, comparisons = export(model, args.out, args.backbone_only, args.size,
                                lambda step: console.print(f'{step} …'))
    table = Table('batch x height x width', 'largest relative difference', 'file, ms', 'PyTorch, ms')
    for row in comparisons:
        table.add_row(f'{row.batch} x {row.height} x {row.width}', f'{row.difference:.1e}',
                      f'{1000 * row.file_s:.0f}', f'{1000 * row.torch_s:.0f}')
    console.print(table)
    for name, value in facts.items():
        print(f'{name}: {value}')
    print(f'wrote {args.out}, {args.out.stat().st_size / 1e6:.1f} MB')


if __name__ == '__main__':
    run(main)

"""Convert weights in any published format to a file of tensors with the authors' parameter names, like ours."""
import argparse
from pathlib import Path

import torch

from xcit_mm import checkpoints
from xcit_mm.command_line import run
from xcit_mm.errors import InputError
from xcit_mm.files import complete_file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('source', metavar='SRC', help='file or URL: checkpoint of a backbone or of a whole model')
    parser.add_argument('destination', type=Path, metavar='DST', help='file to write')
    parser.add_argument('--trust', action='store_true', help='run any code in the file, if you trust its author')
    args = parser.parse_args()
    if args.destination.exists():
        raise InputError(f'cannot write {args.destination}: it already exists; remove it or choose another name')
    content = checkpoints.read(args.source, args.trust)
    try:
        translation = checkpoints.translate(checkpoints.get_state_dict(content))
    except InputError as error:
        raise InputError(f'cannot convert {args.source}: {error}') from None
    with complete_file(args.destination) as file, file.open('wb') as stream:
        torch.save(dict(state_dict=translation.state_dict()), stream)
    print(f'{args.source}: {translation.format} of {translation.arch}')
    if translation.dropped:
        print(f'dropped {len(translation.dropped)} keys (class attention and classifier)')
    print(f'wrote {len(translation.state_dict())} keys to {args.destination}')


if __name__ == '__main__':
    run(main)

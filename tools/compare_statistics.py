"""Compare statistics, sliding windows and flips on scenes that are larger than a training crop."""
import argparse
import itertools
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from benchmarks import kinds_picture, plot, record
from benchmarks.mosaics import CONTENTS, SEVERAL, Mosaics, cut_tile
from benchmarks.scores import Scores
from benchmarks.views import Segment, build_view
from mmengine.config import Config, DictAction
from mmengine.registry import DATASETS, init_default_scope

from xcit_mm.apis import init_model
from xcit_mm.command_line import run
from xcit_mm.config import load_config, require_data

VIEWS = ('image', 'windows', 'hann windows', 'local', 'mixture', 'auto')
UNCUT = 'whole images'  # not mosaics
SIDES = dict(zip((1, 2, 4, 8), (24, 12, 4, 1)))  # tiles along a side -> number of scenes
KEYS = 'checkpoint', 'content', 'side', 'scenes', 'view'
QUICK = dict(zip((1, 2, 4), (12, 6, 2)))


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config of a segmentor')
    parser.add_argument('checkpoints', nargs='+', help='one checkpoint for each seed')
    parser.add_argument('--out', type=Path, required=True, help='JSON file; an existing one is continued')
    parser.add_argument('--views', nargs='+', default=VIEWS, metavar='VIEW',
                        help='what to compare; see benchmarks/views.py')
    parser.add_argument('--contents', nargs='+', default=list(CONTENTS), choices=[*CONTENTS, UNCUT],
                        help=f'scenes to compare on; "{UNCUT}" are the held-out images, and the others are mosaics of '
                        'their top-left corners (default: all mosaics)')
    parser.add_argument('--quick', action='store_true', help='fewer and smaller scenes')
    parser.add_argument('--picture', type=Path, metavar='FILE',
                        help='also draw a mixed scene of 2 x 2 tiles, with its labels in each view')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu',
                        help='e.g. cuda:1 (default: %(default)s)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE')
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')
    return parser.parse_args()


def held_out_images(config: Config) -> list[tuple[np.ndarray, np.ndarray]]:
    """Load the images (H, W, 3) and masks (H, W) of the config's test data."""
    init_default_scope('mmseg')
    data = dict(config.test_dataloader.dataset, pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')])
    return [(sample['img'], sample['gt_seg_map']) for sample in DATASETS.build(data)]


def measure(segment: Segment, scenes: Iterable[tuple[np.ndarray, np.ndarray]], scores: Scores) -> dict:
    """Return the scores over all scenes, the spread in each scene, and the mean seconds per scene."""
    seconds, spreads = [], []
    for image, mask in scenes:
        start = time.perf_counter()
        view = segment(image)
        seconds.append(time.perf_counter() - start)
        spreads.append(view.spread)
        scores.add(view.scores.argmax(dim=0).numpy(), mask.astype(np.int64))
    return scores.result() | dict(spreads=spreads, seconds=sum(seconds) / len(seconds))


def print_table(results: list[dict]) -> None:
    """For each kind of scene and each view, print the value of each checkpoint and the mean over all of them."""
    table: dict[tuple[str, int, int], dict[str, list[float]]] = {}
    for row in results:
        scenes = row['content'], row['side'], row['scenes']
        table.setdefault(scenes, {}).setdefault(row['view'], []).append(row['mean_iou'])
    for (content, side, number), views in table.items():
        print(f'{content}, {number} scenes of {side} x {side} tiles')
        for view, figures in views.items():
            each = ', '.join(f'{figure:.1f}' for figure in figures)
            print(f'  {view:24} {sum(figures) / len(figures):5.1f}  ({each})')


def main() -> None:
    args = parse_args()
    config = load_config(args.config, args.cfg_options)
    require_data(config, ('test', ))
    environment = record.describe_environment()
    commit = environment['commit']  # of this run; results of earlier runs keep theirs
    if args.out.exists():
        environment, results = plot.read(args.out)
    else:
        results = []
    done = {tuple(row[key] for key in KEYS) for row in results}
    images, sides = held_out_images(config), QUICK if args.quick else SIDES
    mosaics = Mosaics([cut_tile(*sample, config.model.data_preprocessor.size) for sample in images])
    for checkpoint in args.checkpoints:
        model = init_model(config, checkpoint, args.device)
        for content, (side, number), view in itertools.product(args.contents, sides.items(), args.views):
            if side == 1 and content in SEVERAL or side > 1 and content == UNCUT:
                continue
            scenes = images if content == UNCUT else list(mosaics.scenes(content, side, number))
            key = dict(zip(KEYS, (checkpoint, content, side, len(scenes), view)))
            if tuple(key.values()) in done:
                continue
            scores = Scores(len(model.dataset_meta['classes']), model.data_preprocessor.size)
            found = measure(build_view(model, view), scenes, scores)
            results.append(key | found | dict(commit=commit))
            record.write(args.out, environment, results)
            print(*key.values(), f'{results[-1]["mean_iou"]:.2f} mIoU, {results[-1]["seconds"]:.2f} s', flush=True)
    print_table(results)
    if args.picture:
        (image, mask), = mosaics.scenes('mixed', 2, 1)
        kinds_picture.draw(model, image, mask, args.views, args.picture)


if __name__ == '__main__':
    run(main)

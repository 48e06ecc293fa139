"""One image through a segmentor, in a process of its own, which ``processes`` starts."""
from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from mmengine.model import BaseModel

from xcit_mm.apis import inference_segmentor, init_model
from xcit_mm.config import load_config

WAYS = ('banded', 'whole', 'slide', 'mmseg-whole', 'mmseg-slide')
SLIDING = dict(mode='slide', crop_size=(512, 512), stride=(341, 341))  # as mmseg's configs for 512 px crops have it
Segment = Callable[[np.ndarray], torch.Tensor]  # (H, W, 3) uint8 -> labels (H, W)


def build(config: Path, way: str) -> Segment:
    """A way to segment images at full resolution, with the same random weights for every way."""
    changes: dict[str, object] = {'model.backbone.init_cfg': None}
    if way.startswith('mmseg'):
        changes['model.decode_head.type'] = 'UPerHead'
    loaded = load_config(config, changes)
    if 'slide' in way:
        loaded.model.test_cfg = SLIDING
    torch.manual_seed(0)
    model = init_model(loaded)
    model.requires_grad_(False)
    return _of_mmseg(model) if way.startswith('mmseg') else _ours(model, way)


def _ours(model: BaseModel, way: str) -> Segment:
    return lambda image: inference_segmentor(model, image, way, full_resolution=True).pred_sem_seg.data[0]


def _of_mmseg(model: BaseModel) -> Segment:
    from mmseg.apis import inference_model

    model.cfg.test_pipeline = [dict(type='LoadImageFromFile'), dict(type='PackSegInputs')]
    return lambda image: inference_model(model, image).pred_sem_seg.data[0]


def main() -> None:
    import resource  # which Windows has not, where the other benchmarks run

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', type=Path)
    parser.add_argument('way', choices=WAYS)
    parser.add_argument('width', type=int)
    parser.add_argument('height', type=int)
    parser.add_argument('labels', type=Path, help='file to write')
    parser.add_argument('--limit', type=int, help='bytes that may be allocated')
    args = parser.parse_args()
    if args.limit:
        resource.setrlimit(resource.RLIMIT_DATA, (args.limit, args.limit))
    segment = build(args.config, args.way)
    image = np.random.default_rng(0).integers(0, 256, (args.height, args.width, 3), dtype=np.uint8)
    segment(image[:256, :256])  # what happens once in a process
    begin = time.perf_counter()
    labels = segment(image)
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == 'darwin' else 1024)
    np.save(args.labels, labels.to(torch.uint8).numpy())
    print(json.dumps(dict(seconds=seconds, peak=peak)))


if __name__ == '__main__':
    main()

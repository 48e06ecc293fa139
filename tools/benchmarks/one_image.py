"""Segment one image in a separate process; ``processes`` runs this file."""
from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.model import BaseModel

from xcit_mm.apis import inference_segmentor, init_model
from xcit_mm.config import load_config

# All of these use the published statistics, except for mixture, which is our default for scenes of mixed content, and
# float32, except for bfloat16. The last two run our model in bands through mmseg's own functions.
WAYS = ('banded', 'bfloat16', 'mixture', 'whole', 'slide', 'mmseg-whole', 'mmseg-slide', 'inference_model',
        'MMSegInferencer')
SLIDING = dict(mode='slide', crop_size=(512, 512), stride=(341, 341))  # as in mmseg's configs for crops of 512 px
Segment = Callable[[np.ndarray], torch.Tensor]  # (H, W, 3) uint8 -> labels (H, W)


def build(config: Path, way: str) -> Segment:
    """Build a function that segments images at full resolution; every way uses the same random weights."""
    changes: dict[str, object] = {'model.backbone.init_cfg': None}
    if way.startswith('mmseg'):
        changes |= {'model.decode_head.type': 'UPerHead', 'model.type': 'EncoderDecoder',
                    'model.test_cfg.mode': 'whole'}
    elif way in ('inference_model', 'MMSegInferencer'):
        changes |= {'model.test_cfg.mode': 'banded', 'model.test_cfg.statistics': 'image'}
    loaded = load_config(config, changes)
    if 'slide' in way:
        loaded.model.test_cfg = SLIDING
    loaded.test_pipeline = [dict(type='LoadImageFromFile'), dict(type='PackSegInputs')]  # inference_model reads this
    loaded.test_dataloader.dataset.pipeline = loaded.test_pipeline
    torch.manual_seed(0)
    model = init_model(loaded)
    model.requires_grad_(False)
    if way == 'MMSegInferencer':
        return _by_inferencer(model)
    return _by_inference_model(model) if way.startswith(('mmseg', 'inference')) else _ours(model, way)


def _ours(model: BaseModel, way: str) -> Segment:
    changes = {'mixture': dict(statistics='mixture'), 'bfloat16': dict(precision='bfloat16')}.get(way, {})
    options: dict[str, Any] = dict(
        mode='banded' if changes else way, statistics='image', full_resolution=True) | changes
    return lambda image: inference_segmentor(model, image, **options).pred_sem_seg.data[0]


def _by_inference_model(model: BaseModel) -> Segment:
    from mmseg.apis import inference_model

    return lambda image: inference_model(model, image).pred_sem_seg.data[0]


def _by_inferencer(model: BaseModel) -> Segment:
    from mmseg.apis import MMSegInferencer

    inferencer = MMSegInferencer(model.cfg, device='cpu')
    inferencer.model = model
    inferencer.show_progress = False
    return lambda image: torch.from_numpy(inferencer(image)['predictions'])


def main() -> None:
    import resource  # not available on Windows, where the other benchmarks still run

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', type=Path)
    parser.add_argument('way', choices=WAYS)
    parser.add_argument('width', type=int)
    parser.add_argument('height', type=int)
    parser.add_argument('labels', type=Path, help='file to write the labels to')
    parser.add_argument('--limit', type=int, help='bytes that the process may allocate')
    args = parser.parse_args()
    if args.limit:
        resource.setrlimit(resource.RLIMIT_DATA, (args.limit, args.limit))
    segment = build(args.config, args.way)
    image = np.random.default_rng(0).integers(0, 256, (args.height, args.width, 3), dtype=np.uint8)
    segment(image[:256, :256])  # warm up
    begin = time.perf_counter()
    labels = segment(image)
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == 'darwin' else 1024)
    np.save(args.labels, labels.to(torch.uint8).numpy())
    print(json.dumps(dict(seconds=seconds, peak=peak)))


if __name__ == '__main__':
    main()

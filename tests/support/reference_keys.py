"""Synthetic checkpoints with the published names and shapes; each tensor is filled with a different number."""
import json
from pathlib import Path

import pytest
import torch

FOLDER = Path(__file__).resolve().parents[3] / 'shared/reference/keys'
FORMATS = ('facebook_classifier', 'facebook_dense_backbone', 'mmpretrain_1.3.6_classifier', 'timm_1.0.31_classifier')


def weights_of(format, arch):
    """Build a state dict in one of the ``FORMATS``, with tensors that use almost no memory."""
    if not FOLDER.is_dir():
        pytest.skip(f'no published keys in {FOLDER}')
    shapes = json.loads((FOLDER / f'{format}.json').read_text())[arch]
    return {key: (torch.tensor(index, dtype=torch.long) if key.endswith('num_batches_tracked')
                  else torch.tensor(float(index)).expand(shape))
            for index, (key, shape) in enumerate(shapes.items())}

"""Deterministic weights and inputs, with the outputs that the authors' dense backbone computes from them.

The arrays in ``fixtures/*.npz`` were computed once with the authors' code in float64 and eval mode.
Each weight is generated from its published name and shape, so no weight file is needed.
"""
import json
import zlib
from pathlib import Path

import numpy as np
import torch

FIXTURES = Path(__file__).parent / 'fixtures'
SHAPES = json.loads((FIXTURES / 'published_keys.json').read_text())
CASES = sorted(path.stem for path in FIXTURES.glob('*.npz'))


def make_input(seed, shape):
    generator = np.random.Generator(np.random.PCG64(seed))
    return torch.from_numpy(generator.standard_normal(shape).astype(np.float32))


def make_weight(name, shape):
    normal = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode()))).standard_normal(shape)
    leaf = name.rsplit('.', 1)[-1]
    if leaf == 'num_batches_tracked':
        return torch.tensor(0)
    if leaf in ('running_var', 'temperature'):
        value = (0.5 if leaf == 'running_var' else 1.0) + np.abs(normal)
    elif leaf.startswith('gamma'):
        value = 0.1 + 0.05 * normal
    elif leaf in ('running_mean', 'bias'):
        value = 0.1 * normal
    elif len(shape) == 1:  # scale of a norm
        value = 1.0 + 0.1 * normal
    else:
        value = normal / np.sqrt(np.prod(shape[1:]))
    return torch.from_numpy(value.astype(np.float32))


def load_case(stem):
    """Load a case: its architecture, state dict, input, seed and expected arrays."""
    arch, shape, seed = stem.split('-')[:3]
    seed = int(seed.removeprefix('seed'))
    state_dict = {name: make_weight(name, size) for name, size in SHAPES[arch].items()}
    image = make_input(seed, tuple(map(int, shape.split('x'))))
    return arch, state_dict, image, seed, dict(np.load(FIXTURES / f'{stem}.npz', allow_pickle=False))

"""Loading a checkpoint either sets exactly its weights, or raises an error and changes nothing."""
import io

import torch
from fuzzing import SCALARS, damaged, refuses
from hypothesis import given
from hypothesis import strategies as st

from xcit_mm import XCiT, checkpoints

TINY = dict(embed_dim=8, depth=2, num_heads=2, patch_size=4)
torch.manual_seed(0)
WEIGHTS = {key: torch.randn_like(value) if value.is_floating_point() else value
           for key, value in XCiT(TINY).state_dict().items()}
BYTES = io.BytesIO()
torch.save(dict(state_dict=WEIGHTS, meta=dict(epoch=1)), BYTES)


def load(source):
    """Load a checkpoint, and check that the module has ``WEIGHTS`` or, if loading was refused, is unchanged."""
    model = XCiT(TINY)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    expected = before
    if not refuses(checkpoints.load, model, source):
        expected = WEIGHTS
    for key, value in model.state_dict().items():
        assert torch.equal(value, expected[key]), key


@st.composite
def changed_weights(draw):
    """Return the weights after a change that a correct loader must either reject or undo."""
    weights = dict(WEIGHTS)
    key = draw(st.sampled_from(sorted(weights)))
    value = weights[key]
    kind = draw(st.sampled_from(['drop', 'rename', 'shape', 'nan', 'junk', 'wrap', 'prefix', 'extra', 'dtype']))
    if kind == 'drop':
        del weights[key]
    elif kind == 'rename':
        weights[draw(st.text(max_size=12))] = weights.pop(key)
    elif kind == 'shape':
        weights[key] = draw(st.sampled_from([value.flatten()[:-1], value[None], value.new_zeros(0)]))
    elif kind == 'nan' and value.is_floating_point():
        weights[key] = torch.full_like(value, draw(st.sampled_from([float('nan'), float('inf')])))
    elif kind == 'junk':
        weights[key] = draw(SCALARS)
    elif kind == 'dtype':
        weights[key] = value.to(draw(st.sampled_from([torch.bool, torch.complex64, torch.int8]))) + 0
    elif kind == 'extra':
        weights[draw(st.text(max_size=12) | st.sampled_from(['blocks.7.norm1.weight', 'head.fc.weight']))] = value
    elif kind == 'prefix':
        prefix = draw(st.sampled_from(['module.', 'backbone.', 'model.', '_orig_mod.', 'a.b.']))
        weights = {prefix + key: value for key, value in weights.items()}
    else:
        return {draw(st.sampled_from(['state_dict', 'model', 'ema', 'x'])): weights, 'y': draw(SCALARS)}
    return weights


@given(changed_weights())
def test_changed_keys_and_values(weights):
    load(weights)


@given(damaged(BYTES.getvalue()))
def test_damaged_files(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / 'damaged.pth'
    path.write_bytes(content)
    load(path)

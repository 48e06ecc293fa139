"""A checkpoint that several tests of the tools share."""
import pytest
import torch

from xcit_mm.apis import init_model


@pytest.fixture(scope='session')
def weights(tmp_path_factory):
    """Return the path of a checkpoint for the digits config, with random weights."""
    path = tmp_path_factory.mktemp('weights') / 'random.pth'
    torch.manual_seed(0)
    model = init_model('configs/xcit_upernet_digits.py', device='cpu')
    torch.nn.init.normal_(model.decode_head.conv_seg.weight)  # otherwise one class would win everywhere
    model.decode_head.conv_seg.bias.data[0] = 90.0  # about half of the pixels become background, as they should
    torch.save(model.state_dict(), path)
    return path

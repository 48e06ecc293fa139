"""A backbone for the tests of statistics."""
import pytest
import torch
from mixed_scenes import ARCH

from xcit_mm.backbone import XCiT


@pytest.fixture(scope='session')
def backbone():
    torch.manual_seed(0)
    model = XCiT(ARCH, out_indices=(0, 1, 2), pyramid=False).double().eval()
    for block in model.blocks:  # makes attention depend strongly on the moments
        torch.nn.init.constant_(block.attn.temperature, 10)
        torch.nn.init.normal_(block.attn.proj.weight)
    return model

"""Networks train with any statistic."""
import pytest
import torch
from mixed_scenes import ARCH, STATISTICS, scene

from xcit_mm.backbone import XCiT
from xcit_mm.statistics import build_statistics


@pytest.mark.parametrize('name', STATISTICS)
def test_gradients_are_exact(name):
    """Gradients flow through the moments; the assignment to kinds is treated as constant."""
    torch.manual_seed(4)
    model = XCiT(dict(ARCH, embed_dim=8, depth=1, num_heads=2, patch_size=16), out_indices=(0, ), pyramid=False)
    block = model.double().blocks[0]
    tokens = torch.randn(2, 4 * 3, 8, dtype=torch.double)
    tokens[:, :5] += 2
    statistics = build_statistics(dict(STATISTICS[name], size=(32, 32)) if name == 'local' else STATISTICS[name])
    statistics.begin(64, 48, 16)
    if statistics.observes:
        statistics.observe(tokens)

    def attend(x):
        return block.attn.add_to(x, block.norm1(x), torch.ones(2, 1, 8).double(), statistics.moments(0, 4, 3))

    assert torch.autograd.gradcheck(attend, tokens.requires_grad_(), fast_mode=True)


@pytest.mark.parametrize('with_cp', [False, True])
def test_training_updates_every_parameter(with_cp):
    torch.manual_seed(5)
    model = XCiT(ARCH, out_indices=(2, ), pyramid=False, with_cp=with_cp).train()
    model(scene().float(), build_statistics('mixture'))[0].square().mean().backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients.values())
    if with_cp:
        other = XCiT(ARCH, out_indices=(2, ), pyramid=False).train()
        other.load_state_dict({name: value for name, value in model.state_dict().items() if 'running' not in name
                               and 'tracked' not in name}, strict=False)
        other(scene().float(), build_statistics('mixture'))[0].square().mean().backward()
        for name, parameter in other.named_parameters():
            torch.testing.assert_close(gradients[name], parameter.grad, atol=1e-5, rtol=1e-3)

"""The efficient head has the same outputs, gradients and keys as mmsegmentation's, in training and inference."""
import pytest
import torch
from mmengine.registry import init_default_scope
from mmseg.models.decode_heads import UPerHead
from mmseg.registry import MODELS

from xcit_mm import checkpoints, config_path
from xcit_mm.apis import inference_segmentor, init_model
from xcit_mm.config import load_config
from xcit_mm.heads import EfficientUPerHead

ARGUMENTS = dict(in_channels=[8, 12, 16, 10], in_index=[0, 1, 2, 3], channels=6, num_classes=5, dropout_ratio=0.0,
                 pool_scales=(1, 2, 3))


@pytest.fixture(params=[
    dict(norm_cfg=dict(type='BN'), align_corners=False), dict(norm_cfg=dict(type='BN'), align_corners=True),
    dict(norm_cfg=None, align_corners=False), dict(norm_cfg=dict(type='GN', num_groups=2), align_corners=False)],
    ids=str)
def heads(request):
    init_default_scope('mmseg')
    theirs, ours = (kind(**ARGUMENTS, **request.param).double() for kind in (UPerHead, EfficientUPerHead))
    for tensor in theirs.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(0.5 + torch.rand_like(tensor))
    theirs.fpn_bottleneck.conv.weight.data.normal_()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    return theirs, ours


def levels(batch=2):
    torch.manual_seed(1)
    return [torch.randn(batch, channels, height, width, dtype=torch.double, requires_grad=True)
            for channels, (height, width) in zip(ARGUMENTS['in_channels'], [(25, 37), (13, 19), (7, 10), (3, 4)])]


@pytest.mark.parametrize('training', [True, False])
def test_outputs_and_gradients_equal_those_of_mmseg(heads, training):
    theirs, ours = (head.train(training) for head in heads)
    results = []
    for head in (theirs, ours):
        inputs = levels()
        output = head(inputs)
        output.square().sum().backward()
        results.append([output, *(x.grad for x in inputs), *(parameter.grad for parameter in head.parameters()),
                        *head.buffers()])
    for one, other in zip(*results):
        torch.testing.assert_close(one, other)


def test_inference_without_a_graph_gives_the_same_outputs(heads):
    theirs, ours = (head.eval() for head in heads)
    with torch.no_grad():
        torch.testing.assert_close(ours(levels()), theirs(levels()))


def test_inference_under_autocast_is_close(heads):
    theirs, ours = (head.eval().float() for head in heads)
    inputs = [level.detach().float() for level in levels()]
    with torch.no_grad(), torch.autocast('cpu', torch.bfloat16):
        torch.testing.assert_close(ours(inputs), theirs(inputs), rtol=0.05, atol=0.05 * theirs(inputs).abs().max())


def test_refuses_convolutions_that_are_not_plain():
    init_default_scope('mmseg')
    with pytest.raises(ValueError, match='plain convolutions, but conv_cfg is .*ConvWS'):
        EfficientUPerHead(**ARGUMENTS, conv_cfg=dict(type='ConvWS'))


@pytest.mark.parametrize('kind', ['UPerHead', 'mmseg.UPerHead'])
def test_weights_of_our_head_load_into_the_head_of_mmseg(kind):
    path = config_path('xcit_upernet_digits.py')
    ours, theirs = init_model(path), init_model(load_config(path, {'model.decode_head.type': kind}))
    assert type(ours.decode_head) is EfficientUPerHead and type(theirs.decode_head) is UPerHead
    checkpoints.load(theirs, ours.state_dict())
    image = torch.randint(0, 256, (70, 90, 3), dtype=torch.uint8).numpy()
    logits = [inference_segmentor(model, image, 'whole', return_logits=True).seg_logits.data
              for model in (ours, theirs)]
    torch.testing.assert_close(*logits, rtol=1e-5, atol=1e-5)


def test_pool_scales_can_be_positional():
    init_default_scope('mmseg')
    arguments = {name: value for name, value in ARGUMENTS.items() if name != 'pool_scales'}
    theirs, ours = (kind((1, 4), **arguments).state_dict() for kind in (UPerHead, EfficientUPerHead))
    assert {name: weight.shape for name, weight in ours.items()} == {
        name: weight.shape for name, weight in theirs.items()}


def test_head_is_registered():
    assert MODELS.get('EfficientUPerHead') is EfficientUPerHead

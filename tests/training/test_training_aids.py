"""Training options set in a config affect the weights as documented."""
import pytest
import torch
from mmengine.model import BaseModel

from xcit_mm import XCiT
from xcit_mm.training.runner import StrictRunner


class Model(BaseModel):

    def __init__(self, **backbone):
        super().__init__()
        torch.manual_seed(0)
        self.backbone = XCiT(dict(embed_dim=16, depth=2, num_heads=2, patch_size=8), norm_eval=True, **backbone)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        levels = self.backbone(torch.stack(inputs))
        return dict(loss=sum(level.square().mean() for level in levels))


def train(folder, iterations, batch_size, model=None, hooks=(), **optim_wrapper):
    """Train for a given number of iterations on the same four images, and return the checkpoint."""
    generator = torch.Generator().manual_seed(1)
    images = [dict(inputs=torch.randn(3, 32, 32, generator=generator)) for _ in range(4)]
    runner = StrictRunner(
        model or Model(), str(folder), experiment_name=folder.name, custom_hooks=list(hooks),
        train_dataloader=dict(dataset=images, batch_size=batch_size, collate_fn=dict(type='pseudo_collate'),
                              sampler=dict(type='InfiniteSampler', shuffle=False)),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=iterations, val_interval=100),
        optim_wrapper=dict(dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1)), **optim_wrapper),
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=iterations)))
    runner.train()
    return torch.load(folder / f'iter_{iterations}.pth', weights_only=False)


def distance(one, other):
    return max((one[key] - other[key]).abs().max() for key in one if one[key].is_floating_point())


def test_accumulated_gradients_equal_those_of_a_larger_batch(tmp_path):
    accumulated = train(tmp_path / 'a', 2, batch_size=2, accumulative_counts=2)['state_dict']
    together = train(tmp_path / 'b', 1, batch_size=4)['state_dict']
    assert distance(accumulated, together) < 1e-6 < 1e-4 < distance(together, Model().state_dict())


def test_checkpoint_keeps_the_moving_average_of_the_weights(tmp_path):
    hook = dict(type='EMAHook', momentum=0.5)
    first = train(tmp_path / 'a', 1, batch_size=2, hooks=[hook])['state_dict']
    both = train(tmp_path / 'b', 2, batch_size=2, hooks=[hook])
    second = {key.removeprefix('module.'): value for key, value in both['ema_state_dict'].items()}
    mean = {key: (first[key] + second[key]) / 2 for key in first}
    assert distance(both['state_dict'], mean) < 1e-6 < 1e-4 < distance(first, second)


def test_frozen_stages_stay_fixed_while_others_learn(tmp_path):
    model = Model(frozen_stages=1)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    after = train(tmp_path, 2, batch_size=2, model=model)['state_dict']
    for start, frozen in {'backbone.patch_embed.': True, 'backbone.pos_embeder.': True, 'backbone.blocks.0.': True,
                          'backbone.blocks.1.mlp.': False, 'backbone.fpn1.': False}.items():
        keys = [key for key in before if key.startswith(start) and key.endswith('weight')]
        assert keys and all(torch.equal(before[key], after[key]) == frozen for key in keys)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="MMEngine's mixed precision needs a GPU")
@pytest.mark.parametrize('dtype', ['float16', 'bfloat16'])
def test_mixed_precision_reaches_similar_weights(tmp_path, dtype):
    mixed = train(tmp_path / 'a', 2, batch_size=2, type='AmpOptimWrapper', dtype=dtype, loss_scale='dynamic')
    full = train(tmp_path / 'b', 2, batch_size=2)
    start = Model().state_dict()
    moved = distance(full['state_dict'], start)
    assert 0 < distance(mixed['state_dict'], full['state_dict']) < 0.1 * moved

"""A hook by which a test interferes with a training."""
from mmengine.hooks import Hook


class At(Hook):
    """Do something before one iteration, or in the validation after so many."""

    def __init__(self, iteration, action, loop='train'):
        self.iteration, self.action = iteration, action
        setattr(self, f'before_{loop}_iter', self.act)

    def act(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.iteration:
            self.action(runner)


def spoil(runner):
    runner.model.decode_head.conv_seg.bias.data[0] = float('nan')

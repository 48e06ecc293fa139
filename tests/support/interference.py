"""A hook that lets a test interfere with training."""
from mmengine.hooks import Hook


class At(Hook):
    """A hook that runs an action before a given training iteration, or during the validation that follows it."""

    def __init__(self, iteration, action, loop='train'):
        self.iteration, self.action = iteration, action
        setattr(self, f'before_{loop}_iter', self.act)

    def act(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.iteration:
            self.action(runner)


def make_invalid(runner):
    runner.model.decode_head.conv_seg.bias.data[0] = float('nan')

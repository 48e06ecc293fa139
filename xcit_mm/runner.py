"""MMEngine's runner with the checkpoint loading of this package: safe, and every key finds its place."""
from __future__ import annotations

from mmengine.model import is_model_wrapper
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from . import checkpoints
from .errors import InputError


@RUNNERS.register_module()
class StrictRunner(Runner):
    """A ``Runner`` whose ``load_from``, ``resume`` and tests refuse what does not fit the model.

    MMEngine's own loading skips keys that do not match, and may run code of a file that torch refuses. Where a
    config says ``load_from_strict = False``, ``load_from`` takes what fits and warns of the rest.
    """

    def load_checkpoint(self, filename: str, map_location: object = None) -> dict:
        """Load a checkpoint into the model; hooks see it first, as with MMEngine's runner.

        Args:
            filename: file or URL.
            map_location: ignored; weights are read onto the CPU and copied to where the model is.

        Raises:
            InputError: as ``checkpoints.read`` and ``checkpoints.load``.
        """
        checkpoint = dict(checkpoints.read(filename))
        if self._resume and 'optimizer' not in checkpoint:
            raise InputError(f'cannot resume from {filename}: it holds weights only; give it as load_from')
        model = self.model.module if is_model_wrapper(self.model) else self.model
        strict = self.cfg.get('load_from_strict', True) or self._resume
        checkpoint['state_dict'] = checkpoints.get_state_dict(checkpoint)  # where hooks look for the weights
        self.call_hook('after_load_checkpoint', checkpoint=checkpoint)
        checkpoints.load(model, checkpoint, strict, filename)
        self._has_loaded = True
        return checkpoint

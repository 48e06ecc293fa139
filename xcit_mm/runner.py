"""MMEngine's runner with the checkpoint loading of this package: safe, and every key finds its place."""
from __future__ import annotations

from mmengine.model import is_model_wrapper
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from . import checkpoints


@RUNNERS.register_module()
class StrictRunner(Runner):
    """A ``Runner`` whose ``load_from``, ``resume`` and tests refuse what does not fit the model.

    MMEngine's own loading skips keys that do not match, and may run code of a file that torch refuses.
    """

    def load_checkpoint(self, filename: str, map_location: object = None) -> dict:
        """Load a checkpoint into the model; hooks see it first, as with MMEngine's runner.

        Args:
            filename: file or URL.
            map_location: ignored; weights are read onto the CPU and copied to where the model is.

        Raises:
            InputError: as ``checkpoints.read`` and ``checkpoints.load``.
        """
        checkpoint = checkpoints.read(filename)
        if 'state_dict' not in checkpoint:  # where hooks look for the weights
            checkpoint = dict(state_dict=checkpoints.get_state_dict(checkpoint))
        self.call_hook('after_load_checkpoint', checkpoint=checkpoint)
        model = self.model.module if is_model_wrapper(self.model) else self.model
        checkpoints.load(model, checkpoint, name=filename)
        self._has_loaded = True
        return checkpoint

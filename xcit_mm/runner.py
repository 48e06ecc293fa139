"""MMEngine's runner with safe and strict loading, complete checkpoints, and hooks for what goes wrong."""
from __future__ import annotations

from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.model import is_model_wrapper
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from . import checkpoints
from .errors import InputError
from .files import complete_file

HOOKS_OF_OURS = dict(invalid_loss=dict(type='InvalidLossHook'), label_range=dict(type='LabelRangeHook'),
                     termination=dict(type='TerminationHook'))


@RUNNERS.register_module()
class StrictRunner(Runner):
    """A ``Runner`` whose ``load_from``, ``resume`` and tests refuse what does not fit the model.

    Its default hooks are MMEngine's, ``invalid_loss``, ``label_range`` and ``termination``; a config switches one off
    by ``default_hooks = dict(invalid_loss=None)``.

    MMEngine's own loading skips keys that do not match, and may run code of a file that torch refuses. Where a
    config says ``load_from_strict = False``, ``load_from`` takes what fits and warns of the rest.
    """

    def register_default_hooks(self, hooks: dict | None = None) -> None:
        """Register MMEngine's default hooks and ours; see there."""
        hooks = HOOKS_OF_OURS | (hooks or {})
        super().register_default_hooks({name: hook for name, hook in hooks.items()
                                        if hook is not None or name not in HOOKS_OF_OURS})

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

    def save_checkpoint(self, out_dir: str, filename: str, *args: object, **kwargs: object) -> None:
        """Save as MMEngine does, under a name that the file gets when it is complete.

        Raises:
            InputError: the file cannot be written; the disk is full, say.
        """
        if '://' in str(out_dir) or not is_main_process():
            super().save_checkpoint(out_dir, filename, *args, **kwargs)
            return
        with complete_file(Path(out_dir, filename)) as partial:
            super().save_checkpoint(out_dir, partial.name, *args, **kwargs)

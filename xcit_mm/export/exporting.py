"""From a model to a file that was compared with it."""
from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import torch
from mmengine.model import BaseModel

from ..errors import InputError
from ..files import complete_file
from .description import describe
from .formats import run_onnx, run_program, trace, write_onnx, write_program
from .functions import exported_function, prepare
from .parity import Comparison, compare, first_line, sizes_near

FORMATS = {'.onnx': (write_onnx, run_onnx), '.pt2': (write_program, run_program)}
PACKAGES = ('onnx', 'onnxscript', 'onnxruntime')
OLDEST_TORCH = '2.9'


def require(path: Path) -> None:
    """Raise ``InputError`` unless a file of this name can be exported here."""
    if path.suffix not in FORMATS:
        raise InputError(f'the name of the file to export says its format, {" or ".join(FORMATS)}, but is {path.name}')
    if torch.__version__ < OLDEST_TORCH:
        raise InputError(f'export needs torch {OLDEST_TORCH} or newer, but this is {torch.__version__}')
    missing = [name for name in PACKAGES if path.suffix == '.onnx' and find_spec(name) is None]
    if missing:
        raise InputError(f"exporting ONNX needs {', '.join(missing)}: pip install 'xcit_mm[export]'")


def export(model: BaseModel, path: Path, backbone_only: bool = False, size: tuple[int, int] = (512, 512),
           report: Callable[[str], None] = lambda step: None) -> tuple[dict[str, str], list[Comparison]]:
    """Write the function that a model is in inference to a file, and compare the file with the model.

    Input ``image``: (B, 3, H, W) float32, normalised as the file's metadata say, H and W of 64 or more. Output of a
    segmentor: ``logits`` (B, classes, H, W); of a backbone: ``level1`` …, each (B, C, ~H / stride, ~W / stride).

    Args:
        model: from ``init_model``: a segmentor, or for its backbone any model over an ``XCiT``.
        path: ``.onnx`` or ``.pt2``; a file of this name is replaced.
        backbone_only: leave out neck and head.
        size: height and width, near which images are compared: see ``sizes_near``.
        report: called with what begins.

    Returns:
        The metadata in the file (see ``describe``), and a ``Comparison`` for each size.

    Raises:
        InputError: a file of this name cannot be written here; there is nothing to export of this model, or not with
            symbolic sizes; the file computes anything else than the model. No file is left then.
    """
    require(path)
    sizes = sizes_near(*size)
    function = exported_function(model, backbone_only)
    facts = describe(model, function)
    write, run = FORMATS[path.suffix]
    with complete_file(path) as file:
        file.touch()  # before minutes of work
        try:
            report('tracing, which takes a minute or two')
            program = trace(prepare(function))
            report('writing')
            write(program, file, function.output_names, facts)
        except RuntimeError as error:  # what torch refuses with, of all kinds
            raise InputError(f'torch cannot export this model for any size: {first_line(error)}') from error
        report('comparing')
        comparisons = list(compare(function, run(file), sizes))
    return facts, comparisons

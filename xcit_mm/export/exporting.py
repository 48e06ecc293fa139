"""Export a model to a file, and compare the file with the model."""
from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import torch
from mmengine.model import BaseModel

from ..errors import InputError
from ..files import complete_file
from .description import describe
from .functions import exported_function, prepare
from .onnx_file import ONNX
from .parity import Comparison, compare, first_line, sizes_near
from .program_file import TORCH_PROGRAM
from .tracing import trace

FILE_FORMATS = {'.onnx': ONNX, '.pt2': TORCH_PROGRAM}
OLDEST_TORCH = '2.9'


def require_format(path: Path) -> None:
    """Check that this machine can export to the format indicated by a file name's suffix.

    Raises:
        InputError: the suffix is not in ``FILE_FORMATS``, torch is too old, or a package is missing.
    """
    if path.suffix not in FILE_FORMATS:
        raise InputError(f'cannot export to {path.name}: its suffix must be {" or ".join(FILE_FORMATS)}')
    if torch.__version__ < OLDEST_TORCH:
        raise InputError(f'cannot export with torch {torch.__version__}; install torch {OLDEST_TORCH} or newer')
    missing = [name for name in FILE_FORMATS[path.suffix].packages if find_spec(name) is None]
    if missing:
        raise InputError(f'cannot export to {path.name} without {", ".join(missing)}; '
                         "run pip install 'xcit_mm[export]'")


def export(model: BaseModel, path: Path, backbone_only: bool = False, size: tuple[int, int] = (512, 512),
           report: Callable[[str], None] = lambda step: None) -> tuple[dict[str, str], list[Comparison]]:
    """Export the function that a model computes at inference to a file, and compare the file with the model.

    Input ``image``: (B, in_channels, H, W) float32, normalised as described in the file's metadata, with H and W at
    least 64. Outputs: ``logits`` (B, classes, H, W) for a segmentor; ``level1`` …, each (B, C, ~H / stride, ~W /
    stride), for a backbone.

    Args:
        model: from ``init_model``: a segmentor, or with ``backbone_only`` any model with an XCiT.
        path: file to write, ``.onnx`` or ``.pt2``; an existing file is replaced.
        backbone_only: leave out neck and head.
        size: height and width near which the file and the model are compared: see ``sizes_near``.
        report: called with the name of each step as it begins.

    Returns:
        The metadata in the file (see ``describe``), and a ``Comparison`` for each size.

    Raises:
        InputError: this machine cannot write the file, the model cannot be exported, torch cannot trace it with
            symbolic sizes, or the file gives different results from the model. An existing file is left unchanged.
    """
    require_format(path)
    sizes = sizes_near(*size)
    function = exported_function(model, backbone_only)
    facts = describe(model, function)
    file_format = FILE_FORMATS[path.suffix]
    with complete_file(path) as file:
        file.touch()  # fails here rather than after minutes of work
        try:
            report('tracing, which takes a minute or two')
            program = trace(prepare(function), function.in_channels)
            report('writing')
            file_format.write(program, file, function.output_names, facts)
        except RuntimeError as error:  # the base class of torch's various export errors
            raise InputError(f'torch cannot export this model for every size: {first_line(error)}') from error
        report('comparing')
        comparisons = list(compare(function, file_format.load(file), sizes))
    return facts, comparisons

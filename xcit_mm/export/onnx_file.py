"""Write and run ONNX files."""
from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch.export import ExportedProgram

from .file_format import FileFormat, Runtime
from .tracing import DYNAMIC_SHAPES

OPSET = 18  # torch's exporter writes it without conversion, and onnxruntime 1.18 reads it


def write(program: ExportedProgram, path: Path, output_names: list[str], facts: Mapping[str, str]) -> None:
    """Write an ONNX model, and store ``facts`` in its ``metadata_props``."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', FutureWarning)  # torch's exporter calls deprecated parts of torch
        model = torch.onnx.export(program, dynamo=True, opset_version=OPSET, input_names=['image'],
                                  output_names=output_names, dynamic_shapes=DYNAMIC_SHAPES, verbose=False)
    assert model is not None  # with dynamo=True, torch always returns a model
    model.model.metadata_props.update(facts)
    model.save(path, external_data=False)


def load(path: Path) -> Runtime:
    """Load the function from an ONNX file; onnxruntime runs it on the CPU with as many threads as torch uses."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])
    return lambda image: list(map(torch.from_numpy, session.run(None, {'image': image.numpy()})))


ONNX = FileFormat(write, load, packages=('onnx', 'onnxscript', 'onnxruntime'))

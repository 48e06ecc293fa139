"""Modules compiled by torch, or exported to ONNX and run by ONNX Runtime and OpenVINO, where these are installed."""
from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.measurement import Opaque, Run
from xcit_mm.export import onnx_file
from xcit_mm.export.file_format import Runtime


def runtime_runs(modules: Mapping[str, nn.Module], x: Tensor, dtype: torch.dtype) -> dict[str, Run]:
    """Return callables that each run inference on ``x`` with one of the runtimes, in the exported graph's fixed size.

    Args:
        modules: by name, in eval mode.
        x: an image on the CPU.
        dtype: float32, or bfloat16, which only OpenVINO runs.
    """
    runs: dict[str, Run] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, module in modules.items():
            path = Path(folder, 'model.onnx')
            _export(module, x, path)
            if dtype == torch.float32 and find_spec('onnxruntime'):
                runs[f'{name}, ONNX Runtime'] = Opaque(partial(onnx_file.load(path), x))
            if find_spec('openvino'):
                runs[f'{name}, OpenVINO'] = Opaque(partial(load_openvino(path, dtype), x))
    return runs


def compiled_runs(modules: Mapping[str, nn.Module], x: Tensor) -> dict[str, Run]:
    """Return callables that each run a module compiled by torch, with its weights as constants."""
    return {f'{name}, compiled': Opaque(torch.no_grad()(partial(
        torch.compile(module, options=dict(freezing=True)), x))) for name, module in modules.items()}


def _export(module: nn.Module, x: Tensor, path: Path) -> None:
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter('ignore')  # torch's exporter calls deprecated parts of torch
        torch.onnx.export(module, (x, ), path, dynamo=True, input_names=['image'], external_data=False, verbose=False)


def load_openvino(path: Path, dtype: torch.dtype = torch.float32) -> Runtime:
    """Load the function from an ONNX file; OpenVINO runs it on the CPU with as many threads as torch uses."""
    import openvino

    options = {'INFERENCE_PRECISION_HINT': 'bf16' if dtype == torch.bfloat16 else 'f32',
               'INFERENCE_NUM_THREADS': torch.get_num_threads(), 'PERFORMANCE_HINT': 'LATENCY'}

    def build() -> Any:
        core = openvino.Core()
        return core.compile_model(core.read_model(path.read_bytes()), 'CPU', options)

    # OpenVINO replaces the signal stack of the thread that calls it with a smaller one (2026.4). In the main thread,
    # Python's handlers would overflow it, for example when a worker of a data loader ends.
    with ThreadPoolExecutor(1) as thread:
        network = thread.submit(build).result()
    return lambda image: list(map(torch.from_numpy, network(image.numpy()).values()))

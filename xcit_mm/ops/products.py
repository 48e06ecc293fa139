"""Products of many tokens with a matrix, by the faster of the two CPU libraries that torch contains.

On a CPU, torch uses MKL for float32 matrix products and oneDNN for convolutions. Because a product of tokens with a
matrix is also a 1x1 convolution of a channels-last map, either library can compute it. On CPUs that are not from Intel,
MKL does without AVX-512 but oneDNN does not, so oneDNN is faster on AMD CPUs with AVX-512 (docs/benchmarks.md). On
other CPUs, neither is clearly faster, and a matrix product has less overhead. Both libraries accumulate in float32.
"""
from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache, partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.grad import conv2d_weight

from ..errors import InputError
from .cpu import is_amd
from .modification import can_bypass
from .recording import is_symbolic

LIBRARIES = ('mkl', 'onednn')
VARIABLE = 'XCIT_MM_PRODUCTS'  # an environment variable; its value is one of LIBRARIES
# How many tokens go through an MLP at once. With fewer, the products are slower; with more, the hidden layer, which is
# 4 C wide, takes more memory.
CHUNK_TOKENS = 4096
LEAST_MULTIPLY_ADDS = 1 << 25  # in smaller products, the overhead of a convolution costs more than it saves


@cache
def library() -> str:
    """Return the library that computes large float32 products on a CPU: ``'mkl'`` or ``'onednn'``.

    Raises:
        InputError: the environment variable XCIT_MM_PRODUCTS has another value.
    """
    chosen = os.environ.get(VARIABLE)
    if chosen is not None and chosen not in LIBRARIES:
        raise InputError(f'{VARIABLE} must be one of {", ".join(LIBRARIES)}, but got {chosen!r}; unset it to let the '
                         'CPU decide')
    is_limited = torch.backends.cpu.get_cpu_capability() == 'AVX512' and is_amd()
    return chosen or LIBRARIES[is_limited and torch.backends.mkldnn.is_available()]


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``F.linear(x, weight, bias)``.

    Args:
        x: (…, in).
        weight: (out, in).
        bias: (out,).

    Returns:
        (…, out)
    """
    if not _is_convolution(x, weight, len(weight)):
        return F.linear(x, weight, bias)
    y = F.conv2d(_as_map(x), weight[:, :, None, None], bias)  # (1, out, 1, M), channels-last
    return y.permute(0, 2, 3, 1).view(*x.shape[:-1], -1)


def as_function(layer: nn.Module) -> Callable[[Tensor], Tensor]:
    """Return a function that computes the same as a layer: ``linear`` for a plain ``nn.Linear``, or else the layer.

    Without oneDNN there is no reason to bypass the layer. Compilers and tracers get the layer, too: they choose a
    library themselves, and they report work layer by layer.
    """
    if is_symbolic() or library() == 'mkl' or not isinstance(layer, nn.Linear) or not can_bypass(layer, nn.Linear):
        return layer
    return partial(linear, weight=layer.weight, bias=layer.bias)


def matmul(x: Tensor, y: Tensor) -> Tensor:
    """Multiply one matrix by another one for each image: (M, K) @ (B, K, N) -> (B, M, N)."""
    if not _is_convolution(x, y, y.shape[2]):
        return x @ y
    return torch.stack([linear(x, matrix.mT) for matrix in y])


def affine(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Apply another affine map to each image: (B, N, in) @ (B, in, out) + (B, 1, out) -> (B, N, out)."""
    if not _is_convolution(x, weight, weight.shape[2], x.shape[0]):
        return torch.baddbmm(bias, x, weight)
    images = [linear(tokens, matrix.mT, vector[0]) for tokens, matrix, vector in zip(x, weight, bias, strict=True)]
    return torch.stack(images) if len(images) > 1 else images[0][None]


def add_affine(residual: Tensor, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return ``residual + affine(x, weight, bias)``, where the residual is (B, N, out)."""
    if _is_convolution(x, weight, weight.shape[2], x.shape[0]):
        return affine(x, weight, bias).add_(residual)
    return (residual + bias).baddbmm_(x, weight)


def add_affine_(total: Tensor, x: Tensor, weight: Tensor, bias: Tensor) -> None:
    """Add ``affine(x, weight, bias)`` to ``total`` (B, N, out) in place."""
    if _is_convolution(x, weight, weight.shape[2], x.shape[0]):
        total.add_(affine(x, weight, bias))
    else:
        total.add_(bias).baddbmm_(x, weight)


def gram(x: Tensor) -> Tensor:
    """Return x^T x for each image: (B, N, C) -> (B, C, C)."""
    if _is_convolution(x, x, x.shape[2], x.shape[0]):
        # This is the gradient of a 1x1 convolution's weight. Half of the products would follow by symmetry, but
        # narrower convolutions are slower than that saves.
        maps = [_as_map(tokens) for tokens in x]
        return torch.stack([conv2d_weight(image, (x.shape[2], x.shape[2], 1, 1), image) for image in maps]).flatten(2)
    half = x.shape[-1] // 2
    left, right = x[..., :half], x[..., half:]
    upper = left.mT @ x  # the remaining quarter of the products follows by symmetry
    lower = torch.cat((upper[..., half:].mT, right.mT @ right), dim=2)
    return torch.cat((upper, lower), dim=1)


def _is_convolution(x: Tensor, matrix: Tensor, columns: int, number: int = 1) -> bool:
    """Return whether convolutions are to compute the ``number`` products, with so many columns, of x and a matrix."""
    # The size of a graph's input can be symbolic; comparing it (or len(x), a plain number) would tie the graph to it.
    return not is_symbolic() and x.numel() * columns >= number * LEAST_MULTIPLY_ADDS and uses_onednn(x, matrix)


def uses_onednn(*tensors: Tensor) -> bool:
    """Return whether oneDNN is the faster library for these tensors, and can replace matrix products with them."""
    # Subclasses of Tensor have their own products. Weights of which vmap makes one per sample would need grouped
    # convolutions, which are slow.
    return (not is_symbolic() and library() == 'onednn' and not torch.is_autocast_enabled('cpu')
            and all(tensor.device.type == 'cpu' and tensor.dtype == torch.float32
                    and type(tensor) in (Tensor, nn.Parameter) for tensor in tensors)
            and torch._C._functorch.maybe_current_level() is None)


def _as_map(x: Tensor) -> Tensor:
    """View tokens (…, C) as a channels-last map (1, C, 1, M), or copy them if their layout does not allow that."""
    return x.reshape(1, 1, -1, x.shape[-1]).contiguous().permute(0, 3, 1, 2)

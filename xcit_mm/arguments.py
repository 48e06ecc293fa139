"""Check the arguments of ``XCiT`` so that an invalid one gives a one-line error."""
from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

from .errors import InputError, describe_value
from .layers import PYRAMID_STRIDES
from .layers.cross_covariance_attention import FORMS
from .variants import PUBLISHED_STRIDES, Variant

Rule = tuple[Callable[[Any], bool], str]  # a test for valid values, and a description of them


def check_arguments(arguments: Mapping[str, object], unknown: Iterable[str]) -> None:
    """Check the type of each argument, and its range unless that depends on another argument.

    Args:
        arguments: name and value of each argument.
        unknown: names of other arguments.

    Raises:
        InputError: a name is unknown, or a value has a wrong type or is out of range.
    """
    for name in unknown:
        nearest = difflib.get_close_matches(name, arguments, 1)
        if name == 'pretrained':  # the name in MM 0.x
            nearest = ['model.backbone.init_cfg']
        hint = f'did you mean {nearest[0]!r}?' if nearest else f'its arguments are {", ".join(arguments)}.'
        raise InputError(f'XCiT has no argument {name!r}; {hint} To replace the backbone of a base config, add '
                         '_delete_=True')
    for name, value in arguments.items():
        is_valid, expected = ARGUMENTS[name]
        if not is_valid(value):
            raise InputError(f'{name} must be {expected}, but got {describe_value(value)}')


def choose_levels(variant: Variant, out_indices: Sequence[int] | None, out_strides: Sequence[int] | None,
                  pyramid: bool) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the block and the stride for each map; see ``XCiT`` for the arguments.

    Raises:
        InputError: a block does not exist, strides are not ascending, or arguments contradict each other.
    """
    if not pyramid:
        if out_strides is not None:
            raise InputError('cannot use out_strides with pyramid=False, which returns all maps at the patch stride; '
                             'remove one of the two')
        indices = variant.out_indices if out_indices is None else tuple(out_indices)
        strides: tuple[int, ...] = (variant.patch_size, ) * len(indices)
    else:
        strides = PUBLISHED_STRIDES if out_strides is None else tuple(out_strides)
        if not strides or not set(strides) <= set(PYRAMID_STRIDES) or list(strides) != sorted(set(strides)):
            raise InputError(f'out_strides must be an ascending selection of {_listed(PYRAMID_STRIDES)}, but got '
                             f'{describe_value(out_strides)}')
        indices = variant.taps(strides) if out_indices is None else tuple(out_indices)
        if len(indices) != len(strides):
            raise InputError(f'out_indices must name a block for each stride of {_listed(strides)}, but got '
                             f'{describe_value(indices)}; set out_strides, or pyramid=False for maps at the patch '
                             'stride')
    if not indices or not all(0 <= index < variant.depth for index in indices):
        raise InputError(f'out_indices must name blocks 0 … {variant.depth - 1}, but got {describe_value(indices)}')
    return indices, strides


def _listed(values: Iterable[int]) -> str:
    return ', '.join(map(str, values))


def _is_number(value: object, kind: type) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _is_integer(value: object) -> bool:
    return _is_number(value, Integral)


def _is_rate(value: Any) -> bool:
    return _is_number(value, Real) and 0 <= value < 1


def _are_integers(values: object) -> bool:
    return values is None or (isinstance(values, Sequence) and not isinstance(values, (str, bytes, bytearray))
                              and all(map(_is_integer, values)))


def _is_typed(value: object) -> bool:
    return isinstance(value, Mapping) and bool(value.get('type'))


def _is_initialisation(value: object) -> bool:
    return value is None or _is_typed(value) or (isinstance(value, (list, tuple)) and all(map(_is_typed, value)))


_FLAG: Rule = (lambda value: isinstance(value, bool), 'True or False')
_RATE: Rule = (_is_rate, 'a number in [0, 1)')
_INTEGERS: Rule = (_are_integers, 'a list of integers or None')
ARGUMENTS: dict[str, Rule] = dict(
    arch=(lambda value: isinstance(value, (str, Mapping)), 'a name or a dict of sizes'),
    in_channels=(lambda value: _is_integer(value) and value > 0, 'a positive integer'),
    out_indices=_INTEGERS, out_strides=_INTEGERS, drop_path_rate=_RATE, attn_drop_rate=_RATE,
    norm_cfg=(_is_typed, "a dict with a 'type'"), frozen_stages=(_is_integer, 'an integer'), with_cp=_FLAG,
    norm_eval=_FLAG, pyramid=_FLAG, channels_last=_FLAG,
    attention=(lambda value: isinstance(value, str) and value in FORMS, f'one of {", ".join(FORMS)}'),
    statistics=(lambda value: value is None or isinstance(value, (str, Mapping)), 'a name or a dict with its type'),
    init_cfg=(_is_initialisation, "None, a dict with a 'type', or a list of such dicts"))

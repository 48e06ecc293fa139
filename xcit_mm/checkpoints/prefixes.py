"""Align a checkpoint's keys with a module's when a trainer wrapped either model in another module."""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from torch import Tensor


def align(state_dict: Mapping[str, Tensor], own: Mapping[str, Tensor], ours: Iterable[str], theirs: Iterable[str]
          ) -> tuple[dict[str, Tensor], str, str]:
    """Remove the prefix in front of a whole model's keys, or add the one that the module uses.

    Args:
        state_dict: weights of a checkpoint.
        own: state dict of the module.
        ours, theirs: prefixes of the XCiTs in the module and in the checkpoint, e.g. ``backbone.`` and
            ``model.backbone.``, which determine the prefix ``model.``. If the module has no XCiT, it is the prefix
            whose removal turns more than half of the checkpoint's keys into keys of the module.

    Returns:
        The weights, the prefix that was removed and the prefix that was added; '' for none.
    """
    ours, theirs = list(ours), list(theirs)
    removed = _outer(theirs, ours) if ours else _majority(state_dict, own)
    added = '' if removed or not theirs else _outer(ours, theirs)
    return {added + key.removeprefix(removed): value for key, value in state_dict.items()}, removed, added


def _outer(long: list[str], short: list[str]) -> str:
    """Return the only prefix that turns every short prefix into a long one, or '' if there is not exactly one.

    A bare backbone (a short prefix '') has no other keys that would need an outer prefix.
    """
    if '' in short:
        return ''
    outer = set.intersection(*({each[:-len(end)] for each in long if each.endswith(f'.{end}') or each == end}
                               for end in short))
    return outer.pop() if len(outer) == 1 else ''


def _majority(state_dict: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> str:
    votes: Counter[str] = Counter()
    for key in state_dict:
        for index in [0, *(i + 1 for i, letter in enumerate(key) if letter == '.')]:
            if key[index:] in own:
                votes[key[:index]] += 1
    prefix, count = max(votes.items(), key=lambda vote: (vote[1], -len(vote[0])), default=('', 0))
    return prefix if 2 * count > len(state_dict) else ''

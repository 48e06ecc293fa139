"""No setting of the backbone raises anything but a one-line error, and none is silently ignored."""
import inspect

from fuzzing import VALUES, refuses
from hypothesis import example, given
from hypothesis import strategies as st
from mmengine.registry import MODELS

from xcit_mm import XCiT
from xcit_mm.errors import InputError

TINY = dict(embed_dim=16, depth=3, num_heads=2, patch_size=8)
NAMES = [name for name in inspect.signature(XCiT).parameters if name != 'unknown']
SMALL = st.integers(-2, 9)
# Values that are nearly right find more than random ones.
LIKELY = dict(
    arch=st.fixed_dictionaries(dict(embed_dim=st.sampled_from([8, 12, 16, 0, 17]), depth=st.integers(0, 4),
                                    num_heads=st.integers(0, 5), patch_size=st.sampled_from([1, 2, 4, 8, 12, 16]))),
    out_indices=st.lists(SMALL, max_size=5), out_strides=st.lists(st.sampled_from([2, 4, 8, 16, 32, 64]), max_size=5),
    frozen_stages=SMALL, in_channels=SMALL,
    norm_cfg=st.fixed_dictionaries(dict(type=st.sampled_from(['BN', 'GN', 'LN', 'IN', 'SyncBN', 'BN3d', 'X'])),
                                   optional=dict(num_groups=SMALL, eps=st.floats(0, 1), requires_grad=st.booleans())))


@st.composite
def arguments(draw):
    names = draw(st.lists(st.sampled_from(NAMES), max_size=4, unique=True))
    return {name: draw(VALUES | LIKELY[name] if name in LIKELY else VALUES | st.sampled_from(
        [True, False, 0.5, 'gram', 'direct'])) for name in names}


def build(settings):
    model = MODELS.build(dict(type='XCiT', arch=TINY) | settings)
    assert len(model.out_channels) == len(model.out_strides) == len(model.out_indices)


@given(arguments())
@example(dict(out_indices=1.0))
@example(dict(frozen_stages='1'))
def test_arguments_build_a_model_or_are_refused(settings):
    refuses(build, settings)


@given(st.text(min_size=1, max_size=20), VALUES)
def test_unknown_arguments_are_never_ignored(name, value):
    if name not in NAMES and name not in ('type', 'self'):
        try:
            XCiT(TINY, **{name: value})
        except InputError as error:
            assert len(str(error).splitlines()) == 1
        else:
            raise AssertionError(name)

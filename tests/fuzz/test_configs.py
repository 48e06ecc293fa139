"""No backbone setting raises anything other than a one-line error, and none is silently ignored."""
import inspect

from fuzzing import VALUES, refuses
from hypothesis import example, given, settings
from hypothesis import strategies as st
from mmengine.config import Config
from mmengine.registry import MODELS

from xcit_mm import XCiT
from xcit_mm.apis import init_model
from xcit_mm.config import load_config
from xcit_mm.errors import InputError
from xcit_mm.failures import explain

DIGITS = 'configs/xcit_upernet_digits.py'

TINY = dict(embed_dim=16, depth=3, num_heads=2, patch_size=8)
NAMES = [name for name in inspect.signature(XCiT).parameters if name != 'unknown']
SMALL = st.integers(-2, 9)
# Nearly valid values find more bugs than random ones.
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


def leaves(node, path=()):
    """Yield the path of every setting in a config, except sections."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) and node else ()
    for key, value in items:
        yield from leaves(value, (*path, key)) if isinstance(value, (dict, list)) and value else [(*path, key)]


SETTINGS = sorted(leaves(dict(model=load_config(DIGITS).to_dict()['model'])), key=str)


@settings(max_examples=settings().max_examples // 3)  # building a model is slow
@given(st.sampled_from(SETTINGS), VALUES, st.sampled_from(['set', 'misspell', 'remove']))
def test_changed_settings_of_a_model_build_or_are_explained_in_one_line(path, value, kind):
    config = load_config(DIGITS)
    *parents, key = path
    node = config._cfg_dict.to_dict()
    changed = node
    for parent in parents:
        node = node[parent]
    if kind == 'set' or isinstance(node, list):
        node[key] = value
    elif kind == 'misspell':
        node[f'{key}x'] = node.pop(key)
    else:
        del node[key]
    try:
        init_model(Config(changed), device='cpu')
    except InputError as error:
        assert len(str(error).splitlines()) == 1
    except Exception as error:  # raised by the MM packages; the tools report it in one line
        assert len(explain(error).splitlines()) == 1
    else:
        assert kind != 'misspell' or parents != ['model', 'backbone'], f'{key} was ignored'

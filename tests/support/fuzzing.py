"""Generate values and damaged files for property-based tests."""
from hypothesis import strategies as st

from xcit_mm.errors import InputError

# Values of every kind found in configs and JSON files
SCALARS = (st.none() | st.booleans() | st.integers(-3, 70) | st.integers() | st.floats() | st.text(max_size=8)
           | st.binary(max_size=4))
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner,
                                                                                          max_size=3), max_leaves=6)


def refuses(action, *args, **kwargs):
    """Run an action; return whether it refused its input with a one-line error. Any other exception is a bug."""
    try:
        action(*args, **kwargs)
    except InputError as error:
        assert len(str(error).splitlines()) == 1, error
        return True
    return False


@st.composite
def damaged(draw, content):
    """Return the content with up to two changes to its bytes, about half of them in the first 200."""
    content = bytearray(content)
    for _ in range(draw(st.integers(0, 2))):
        end = len(content) if draw(st.booleans()) else min(200, len(content))
        start = draw(st.integers(0, max(end - 1, 0)))
        kind = draw(st.sampled_from(['set', 'set', 'set', 'cut', 'remove', 'insert']))
        if kind == 'set':  # small changes find the most bugs, because the other fields stay valid
            content[start:start + 1] = draw(st.binary(min_size=1, max_size=1))
        elif kind == 'cut':
            del content[start:]
        elif kind == 'remove':
            del content[start:start + draw(st.integers(1, 40))]
        else:
            content[start:start] = draw(st.binary(min_size=1, max_size=12))
    return bytes(content)

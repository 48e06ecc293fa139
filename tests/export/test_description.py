"""The metadata in an exported file tells how to normalise images."""
import json

import torch
from segmentors import build

from xcit_mm.export import exported_function
from xcit_mm.export.description import describe


def test_the_metadata_describes_the_preprocessor():
    model = build()
    facts = describe(model, exported_function(model))
    pixels = torch.randint(0, 256, (3, 64, 80))  # BGR, as OpenCV decodes images
    expected = model.data_preprocessor(dict(inputs=[pixels], data_samples=None))['inputs'][0]
    mean, std = (torch.tensor(json.loads(facts[name]))[:, None, None] for name in ('mean', 'std'))
    rgb = pixels.flip(0) if facts['color'] == 'RGB' else pixels
    torch.testing.assert_close((rgb - mean) / std, expected)
    assert len(json.loads(facts['classes'])) == 11 and facts['strides'] == '[1]'

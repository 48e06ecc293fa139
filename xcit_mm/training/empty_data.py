"""Report data sets without images."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import InputError, describe_value


@contextmanager
def name_empty_data(config: object) -> Iterator[None]:
    """Report a data set without images in one line; MMEngine would fail with an obscure error about arrays.

    Raises:
        InputError: a data set that is built in this context has no images.
    """
    try:
        yield
    except ValueError as error:
        if 'need at least one array' not in str(error):
            raise
        dataset = config.get('dataset') if isinstance(config, dict) else None
        facts = {key: dataset[key] for key in ('data_root', 'data_prefix', 'ann_file', 'img_suffix', 'seg_map_suffix')
                 if dataset and dataset.get(key)}
        raise InputError(f'the data set has no image to load ({describe_value(facts) if facts else "it is empty"}); '
                         'check its folders, suffixes and annotations') from error

"""Turn the bands of a result, computed within the box of a file's data, into parts of the whole file."""
from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor

from ..errors import InputError
from ..ops.rows import bands
from .data_mask import ROWS_AT_ONCE, DataMask
from .labels import label_probabilities, to_probabilities
from .results import PREDICTED, Part, ResultMeta, empty_part, to_steps
from .scene import Band


class FileParts:
    """Parts of a file's result.

    Args:
        mask: where the file holds data.
        meta: describes the result.
        classes: whose probabilities to include, by index or ``PREDICTED``.
    """

    def __init__(self, mask: DataMask, meta: ResultMeta, classes: Sequence[int]) -> None:
        self.mask, self.meta, self.classes = mask, meta, classes

    def without_data(self, start: int, stop: int) -> Iterator[Part]:
        """Yield rows [start, stop), none of which holds data."""
        for first, last in bands(stop - start, ROWS_AT_ONCE):
            yield empty_part(last - first, self.meta.width, self.meta.nodata, self.meta.dtype, self.classes)

    def of_band(self, band: Band) -> Part:
        """Return whole rows, on the CPU, from a band within the mask's box.

        Raises:
            InputError: probabilities are needed, but the band has no scores.
        """
        part = Part(band.labels.to('cpu', self.meta.dtype),
                    {index: to_steps(_probability(band, index)).cpu() for index in self.classes})
        return part.map(lambda values, nodata: self.mask.to_whole_rows(values, band.start, nodata), self.meta.nodata)


def _probability(band: Band, index: int) -> Tensor:
    """Return the probability of a class, or of the predicted one: (rows, W)."""
    if band.scores is None:
        raise InputError('this model predicts labels without logits, so the probabilities are unknown; ask for labels '
                         'only')
    if index == PREDICTED:
        return label_probabilities(band.scores, band.labels)
    return to_probabilities(band.scores, [index])[..., 0]

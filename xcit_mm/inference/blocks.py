"""Segmenting a TIFF file that is read and written by blocks."""
from __future__ import annotations

from pathlib import Path

from mmengine.model import BaseModel

from ..errors import InputError
from .bands.backbone import Progress
from .memory import parse_bytes
from .pipeline import only_packs
from .segmentation import choose_mode, label_bands, label_dtype


def segment_file(model: BaseModel, path: Path, out_dir: Path, mode: str = 'auto',
                 max_memory: int | str | None = None, progress: Progress = lambda share: None) -> str:
    """Segment a TIFF file at full resolution, and write ``<stem>_classes.tif``; neither is held as a whole.

    Args:
        model: from ``init_model``.
        path: TIFF file.
        out_dir: folder, made if needed.
        mode, max_memory, progress: as of ``inference_segmentor``.

    Returns:
        The mode that was taken.

    Raises:
        InputError: as ``inference_segmentor``; a test pipeline that does more than to read BGR and to resize.
    """
    try:
        from .sources.tiff import TiffRows, write_labels
    except ModuleNotFoundError as error:
        raise InputError(f"reading by blocks needs {error.name}: pip install 'xcit_mm[tiff]'") from None
    if not only_packs(model.cfg):
        raise InputError("reading by blocks leaves out the config's test pipeline, which does more than to read BGR "
                         'and to resize')
    with TiffRows(path) as image:
        mode = choose_mode(model, image, mode, parse_bytes(max_memory), result_bytes=0)
        write_labels(out_dir / f'{path.stem}_classes.tif', label_bands(model, image, mode, progress),
                     label_dtype(model), image, model.dataset_meta['palette'])
    return mode

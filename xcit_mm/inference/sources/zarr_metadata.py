"""Find the levels of an OME-Zarr image, and check its chunks."""
from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import MissingImageError, UnreadableImageError
from .pyramid import MICRONS, Pair

FILES = ('zarr.json', '.zgroup', '.zarray')  # one of which describes a group or an array
MOST_BANDS = 16  # which the first dimension of an array may be mistaken for
BLOSC_HEADER = 16  # bytes; the last four give the number of bytes of the chunk


class Levels(NamedTuple):
    """The arrays of an image.

    Attributes:
        arrays: one for each level, the finest first.
        axes: a letter for each dimension, e.g. 'tczyx'; those other than c, y and x have length 1.
        microns: micrometres per pixel of level 0 (y, x); None if unknown.
    """
    arrays: list[Any]
    axes: str
    microns: Pair | None


def is_zarr(path: Path) -> bool:
    """Return whether a folder is a Zarr group or array."""
    return any((path / name).is_file() for name in FILES)


def find_levels(path: Path) -> Levels:
    """Open the image in a folder.

    Raises:
        UnreadableImageError: the folder does not exist, holds no image, is damaged, or holds slices or time points.
    """
    import zarr

    if path.is_file():
        raise UnreadableImageError(f'cannot read {path}: it is a file, but a Zarr image is a folder; unpack it')
    if not path.is_dir():
        raise MissingImageError(f'no image folder {path}')
    try:
        node: Any = zarr.open(path, mode='r')
        levels = Levels([node], 'yxc'[:node.ndim], None) if isinstance(node, zarr.Array) else _multiscale(node)
    except Exception as error:  # whatever is wrong with the metadata
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UnreadableImageError(f'cannot read {path}: its Zarr metadata are missing or damaged '
                                   f'({type(error).__name__}: {reason})') from None
    if levels is None:
        inside = [name for name in sorted(node.group_keys()) if _multiscales(node[name])]
        hint = f'; name one of the images in it, e.g. {path / inside[0]}' if inside else ''
        raise UnreadableImageError(f'cannot read {path}: it is a Zarr group without a multiscale image{hint}')
    shape = levels.arrays[0].shape
    if not {'y', 'x'} <= set(levels.axes) or len(set(levels.axes)) < len(shape):
        raise UnreadableImageError(f'cannot read {path}: its dimensions {shape} are not (H, W), (H, W, bands) or those '
                                   'of an OME-Zarr image')
    if levels.axes == 'yxc' and shape[0] <= MOST_BANDS < shape[2]:
        raise UnreadableImageError(f'cannot read {path}: its dimensions {shape} look like (bands, H, W), but the bands '
                                   'of a plain array come last; save it as OME-Zarr, which names its dimensions')
    for axis, size in zip(levels.axes, shape):
        if axis not in 'cyx' and size > 1:
            raise UnreadableImageError(f'cannot read {path}: it holds {size} slices or time points along {axis}; save '
                                       'the one to segment as an image')
    return levels


def _multiscales(group: Any) -> Any:
    return group.attrs.get('ome', group.attrs).get('multiscales')


def _multiscale(group: Any) -> Levels | None:
    multiscales = _multiscales(group)
    if not multiscales:
        return None
    image = multiscales[0]
    axes, sets = image['axes'], image['datasets']
    arrays = [group[dataset['path']] for dataset in sets]
    if any(array.ndim != len(axes) for array in arrays):
        raise ValueError('the number of axes is not that of the dimensions')
    scales = [1.0] * len(axes)
    for step in [*sets[0].get('coordinateTransformations', []), *image.get('coordinateTransformations', [])]:
        scales = [one * other for one, other in zip(scales, step.get('scale', [1.0] * len(axes)))]
    sizes = {axis['name']: scale * MICRONS[axis['unit']] for axis, scale in zip(axes, scales)
             if axis.get('unit') in MICRONS}
    names = ''.join(axis['name'][0].lower() for axis in axes)  # e.g. c for channel
    return Levels(arrays, names, (sizes['y'], sizes['x']) if {'y', 'x'} <= set(sizes) else None)


def require_complete_chunks(path: Path, array: Any, selection: tuple[Any, ...]) -> None:
    """Reject files that were cut but would be decoded nevertheless.

    Zarr treats an empty shard (a file of several chunks) as missing, and Blosc turns the beginning of a chunk into
    arbitrary values.

    Args:
        path: of the image.
        array: one of its levels.
        selection: a slice or a list of indices for each dimension.

    Raises:
        ValueError: a file is empty, or shorter or longer than its header says.
    """
    last = type(array.compressors[-1]).__module__ if array.compressors else ''
    is_blosc = not array.shards and 'blosc' in last  # another codec after it changes the size of the file
    numbers = [sorted({index // size for index in (range(*part.indices(length)) if isinstance(part, slice) else part)})
               for part, size, length in zip(selection, array.shards or array.chunks, array.shape)]
    for place in product(*numbers):
        file = Path(path, array.path, array.metadata.encode_chunk_key(place))
        if not file.exists():
            continue
        with file.open('rb') as content:
            header = content.read(BLOSC_HEADER)
        if not header or is_blosc and int.from_bytes(header[-4:], 'little') != file.stat().st_size:
            raise ValueError('a chunk is incomplete')

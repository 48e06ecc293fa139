"""Small pyramids in the formats of microscopes."""
from pathlib import Path

import numpy as np
import tifffile
import zarr

MICRONS = 0.25  # per pixel of level 0
APERIO = 'Aperio Image Library v11\n{1}x{0} [0,0 {1}x{0}] (64x64) JPEG/RGB Q=70|AppMag = 40|MPP = 0.25'


def random_levels(size=(304, 144), bands=3, dtype='uint8'):
    """Return three levels (H, W, bands) of unrelated random values, each half as high and wide as the one before."""
    random = np.random.default_rng(0)
    top = np.iinfo(dtype).max if dtype != 'float32' else 1
    return [(random.random((size[0] >> level, size[1] >> level, bands)) * top).astype(dtype) for level in range(3)]


def write_slide(path, levels, **options):
    """Write RGB levels as a tiled TIFF that OpenSlide recognises; as Aperio's format if the suffix is .svs."""
    text = dict(description=APERIO.format(*levels[0].shape)) if path.suffix == '.svs' else {}
    options = dict(tile=(64, 64), photometric='rgb', compression='zlib', metadata=None) | text | options
    if path.suffix == '.svs' and 'compression' in options:
        options.pop('compression')  # OpenSlide refuses zlib in Aperio's format
    with tifffile.TiffWriter(path) as file:
        for level, pixels in enumerate(levels):
            file.write(pixels, subfiletype=int(level > 0), **options)
            if path.suffix == '.svs' and level == 0:
                file.write(pixels[::4, ::4], photometric='rgb', metadata=None)  # the thumbnail
    return path


def write_ome_tiff(path, levels, axes='CYX', **options):
    """Write levels (H, W, bands) as an OME-TIFF whose pyramid is in SubIFDs."""
    order = dict(CYX=(2, 0, 1), YXS=(0, 1, 2))[axes]
    options = dict(photometric='rgb' if axes == 'YXS' else 'minisblack', tile=(64, 32), compression='zlib') | options
    metadata = dict(axes=axes, PhysicalSizeX=MICRONS, PhysicalSizeXUnit='µm', PhysicalSizeY=MICRONS * 1000,
                    PhysicalSizeYUnit='nm')
    with tifffile.TiffWriter(path, ome=True) as file:
        for level, pixels in enumerate(levels):
            more = dict(subfiletype=1) if level else dict(subifds=len(levels) - 1, metadata=metadata)
            file.write(pixels.transpose(order), **options, **more)
    return path


def write_ome_zarr(path, levels, version='0.5', unit='micrometer', **options):
    """Write levels (H, W, bands) as an OME-Zarr image with dimensions t, c, y and x."""
    group = zarr.create_group(path, zarr_format=2 if version == '0.4' else 3)
    sets = []
    for level, pixels in enumerate(levels):
        group.create_array(str(level), data=np.ascontiguousarray(pixels.transpose(2, 0, 1))[None],
                           chunks=(1, 1, 64, 32), **options)
        scale = [1.0, 1.0, MICRONS * 2**level, MICRONS * 2**level]
        sets.append(dict(path=str(level), coordinateTransformations=[dict(type='scale', scale=scale)]))
    axes = [dict(name='t', type='time'), dict(name='c', type='channel'),
            *(dict(name=name, type='space', unit=unit) for name in 'yx')]
    multiscales = [dict(axes=axes, datasets=sets, name='image', version=version)]
    group.attrs.update(dict(multiscales=multiscales) if version == '0.4' else
                       dict(ome=dict(version=version, multiscales=multiscales)))
    return path


def chunk_files(folder):
    """Return the files of chunks in a Zarr folder, sorted."""
    return sorted(path for path in Path(folder).rglob('*') if path.is_file() and path.suffix != '.json'
                  and not path.name.startswith('.z'))

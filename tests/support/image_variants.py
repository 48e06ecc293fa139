"""Small image files of many kinds, each with a function that writes it and the pixels or the error to expect."""
import io

import cv2
import numpy as np
import tifffile
from PIL import Image

RNG = np.random.default_rng(0)
SMOOTH = cv2.resize(RNG.integers(0, 256, (6, 5, 3), dtype=np.uint8), (35, 40), interpolation=cv2.INTER_CUBIC)
RGB = RNG.integers(0, 256, (40, 35, 3), dtype=np.uint8)
NIR, GREY, DEEP = RGB[..., ::2].max(2), RGB[..., 0], RNG.integers(0, 65536, (40, 35, 3), dtype=np.uint16)
RGBN = np.dstack([RGB, NIR])
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><tiff:Orientation>6</tiff:Orientation></x:xmpmeta>'
ROTATED = (274, 3, 1, 6, True)


def tiff(pixels, **options):
    options = dict(photometric='rgb') | options
    return lambda path: tifffile.imwrite(path, pixels, **options)


def pillow(pixels, kind='PNG', mode=None, **options):
    def write(path):
        image = Image.fromarray(pixels)
        (image.convert(mode) if mode else image).save(path, kind, **options)

    return write


def opencv(pixels, suffix, parameters=()):
    return lambda path: path.write_bytes(cv2.imencode(suffix, pixels, list(parameters))[1].tobytes())


def oriented(kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return pillow(SMOOTH, kind, exif=exif, **dict(lossless=True) if kind == 'WEBP' else {})


def frames(kind):
    others = [Image.fromarray(255 - RGB)]
    return lambda path: Image.fromarray(RGB).save(path, kind, save_all=True, append_images=others)


def pages(path, **second):
    with tifffile.TiffWriter(path) as file:
        file.write(RGB, photometric='rgb')
        file.write(RGB[::2, ::2], photometric='rgb', **second)


def grey3(values):
    return np.repeat(values[..., None], 3, axis=2)


def cut(write, share):
    def write_part(path):
        write(path)
        content = path.read_bytes()
        path.write_bytes(content[:int(share * len(content))])

    return write_part


def lose_description(path):
    """Write a TIFF file with a description that ends beyond the end of the file."""
    tifffile.imwrite(path, RGB, photometric='rgb', description='a field', metadata=None)
    entry = b'\x0e\x01\x02\0'  # tag 270 holds a text, whose length follows
    before, after = path.read_bytes().split(entry)
    path.write_bytes(before + entry + (30_000).to_bytes(4, 'little') + after[4:])


def turned(orientation):
    image = Image.fromarray(SMOOTH)
    operations = [None, 'FLIP_LEFT_RIGHT', 'ROTATE_180', 'FLIP_TOP_BOTTOM', 'TRANSPOSE', 'ROTATE_270', 'TRANSVERSE',
                  'ROTATE_90']
    name = operations[orientation - 1]
    return np.asarray(image.transpose(Image.Transpose[name]) if name else image)


def decoded(kind):
    """Return the pixels expected of a lossy image: those that OpenCV decodes."""
    content = io.BytesIO()
    Image.fromarray(SMOOTH).save(content, kind, quality=90)
    return cv2.imdecode(np.frombuffer(content.getvalue(), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


PLANES = np.moveaxis(RGB, 2, 0)
# name: a function that writes the file, and either its RGB pixels or part of the error message
VARIANTS = {
    'tiff rgb': (tiff(RGB), RGB),
    'tiff strips': (tiff(RGB, rowsperstrip=7, compression='zlib'), RGB),
    'tiff tiles lzw predictor': (tiff(RGB, tile=(16, 16), compression='lzw', predictor=True), RGB),
    'tiff tiles': (tiff(RGB, tile=(32, 16)), RGB),
    'tiff deflate': (tiff(RGB, compression='deflate'), RGB),
    'tiff packbits': (tiff(RGB, compression='packbits'), RGB),
    'tiff zstd': (tiff(RGB, compression='zstd'), RGB),
    'tiff webp': (tiff(RGB, compression='webp', compressionargs=dict(lossless=True), tile=(16, 16)), RGB),
    'tiff jpeg 2000': (tiff(RGB, compression='jpeg2000', tile=(32, 32)), RGB),
    'tiff big': (tiff(RGB, bigtiff=True), RGB),
    'tiff big-endian': (tiff(RGB, byteorder='>'), RGB),
    'tiff big-endian 16 bits': (tiff(DEEP, byteorder='>'), DEEP >> 8),
    'tiff big-endian 16 bits zlib': (tiff(DEEP, byteorder='>', compression='zlib'), DEEP >> 8),
    'tiff planes': (tiff(PLANES, planarconfig='separate'), RGB),
    'tiff planes strips': (tiff(PLANES, planarconfig='separate', rowsperstrip=7), RGB),
    'tiff planes zlib': (tiff(PLANES, planarconfig='separate', rowsperstrip=7, compression='zlib'), RGB),
    'tiff planes tiles': (tiff(PLANES, planarconfig='separate', tile=(16, 16), compression='lzw'), RGB),
    'tiff planes 16 bits': (tiff(np.moveaxis(DEEP, 2, 0), planarconfig='separate'), DEEP >> 8),
    'tiff unassociated alpha': (tiff(RGBN, extrasamples=['unassalpha']), RGB),
    'tiff associated alpha': (tiff(RGBN, extrasamples=['assocalpha']), RGB),
    'tiff fourth band': (tiff(RGBN, extrasamples=['unspecified']), RGB),
    'tiff fourth band tiles': (tiff(RGBN, extrasamples=['unassalpha'], tile=(16, 16), compression='zlib'), RGB),
    'tiff fourth band planes': (tiff(np.moveaxis(RGBN, 2, 0), extrasamples=['unassalpha'], planarconfig='separate',
                                     rowsperstrip=9), RGB),
    'tiff fourth band 16 bits': (tiff(np.dstack([DEEP, DEEP[..., 0]]), extrasamples=['unassalpha']), DEEP >> 8),
    'tiff minisblack 3': (tiff(RGB, photometric='minisblack', planarconfig='contig'), RGB),
    'tiff minisblack 4': (tiff(RGBN, photometric='minisblack', planarconfig='contig'), RGB),
    'tiff minisblack 4 alpha': (tiff(RGBN, photometric='minisblack', planarconfig='contig',
                                     extrasamples=['unspecified'] * 2 + ['unassalpha']), RGB),
    'tiff minisblack 3 16 bits': (tiff(DEEP, photometric='minisblack', planarconfig='contig'), DEEP >> 8),
    'tiff minisblack 3 planes': (tiff(PLANES, photometric='minisblack', planarconfig='separate'), RGB),
    'tiff grey': (tiff(GREY, photometric='minisblack'), grey3(GREY)),
    'tiff grey 16 bits': (tiff(DEEP[..., 0], photometric='minisblack'), grey3(DEEP[..., 0] >> 8)),
    'tiff grey white is 0': (tiff(GREY, photometric='miniswhite'), grey3(255 - GREY)),
    'tiff grey 16 bits white is 0': (tiff(DEEP[..., 0], photometric='miniswhite'), grey3(255 - (DEEP[..., 0] >> 8))),
    'tiff grey alpha': (tiff(RGB[..., :2], photometric='minisblack', planarconfig='contig',
                             extrasamples=['unassalpha']), grey3(GREY)),
    'tiff two bands': (tiff(RGB[..., :2], photometric='minisblack', planarconfig='contig'), '2 bands'),
    'tiff 16 bits': (tiff(DEEP), DEEP >> 8),
    'tiff 16 bits of OpenCV': (opencv(DEEP[..., ::-1], '.tiff'), DEEP >> 8),
    'tiff of OpenCV': (opencv(RGB[..., ::-1], '.tiff'), RGB),
    'tiff of Pillow': (pillow(RGB, 'TIFF'), RGB),
    'tiff rgba of Pillow': (pillow(RGBN, 'TIFF'), RGB),
    'tiff overview': (lambda path: pages(path, subfiletype=1), RGB),
    'tiff two images': (pages, 'several images'),
    'tiff stack': (tiff(np.stack([GREY] * 5), photometric='minisblack'), 'several images'),
    'tiff stack ImageJ': (tiff(np.stack([GREY] * 5), photometric='minisblack', imagej=True), 'several images'),
    'tiff volume': (tiff(np.stack([RGB] * 2), volumetric=True, tile=(2, 16, 16)), 'several images'),
    'tiff five bands': (tiff(np.dstack([RGBN, NIR])), 'it holds 5 bands'),
    'tiff five bands minisblack': (tiff(np.dstack([RGBN, NIR]), photometric='minisblack', planarconfig='contig'),
                                   'it holds 5 bands'),
    'tiff int8': (tiff(GREY.astype(np.int8), photometric='minisblack'), 'it holds 8 bits, signed integers'),
    'tiff int16': (tiff(DEEP.astype(np.int16)), 'it holds 16 bits, signed integers'),
    'tiff uint32': (tiff(DEEP.astype(np.uint32)), 'it holds 32 bits, unsigned'),
    'tiff int32': (tiff(DEEP.astype(np.int32)), 'it holds 32 bits, signed'),
    'tiff float16': (tiff(RGB.astype(np.float16)), 'it holds 16 bits, floats'),
    'tiff float32': (tiff(RGB.astype(np.float32)), 'it holds 32 bits, floats'),
    'tiff float64': (tiff(RGB.astype(np.float64)), 'it holds 64 bits, floats'),
    'tiff complex': (tiff(GREY.astype(np.complex64), photometric='minisblack'), 'complex'),
    'tiff bilevel': (tiff(GREY > 99, photometric='minisblack'), 'it holds 1 bits'),
    'tiff palette': (tiff(GREY, photometric='palette', colormap=np.zeros((3, 256), np.uint16)), 'of PALETTE'),
    'tiff cmyk': (tiff(RGBN, photometric='separated'), 'of SEPARATED'),
    'tiff lab': (tiff(RGB, photometric='cielab'), 'of CIELAB'),
    'tiff rotated': (tiff(RGB, extratags=[ROTATED]), 'orientation 6'),
    'tiff without its description': (lose_description, 'its description lies beyond the end'),
    'tiff cut': (cut(tiff(RGB, rowsperstrip=7, compression='zlib'), 0.7), ''),
    'png rgb': (pillow(RGB), RGB), 'png of OpenCV': (opencv(RGB[..., ::-1], '.png'), RGB),
    'png rgba': (pillow(RGBN), RGB), 'png grey': (pillow(GREY), grey3(GREY)),
    'png grey 16 bits': (pillow(DEEP[..., 0]), grey3(DEEP[..., 0] >> 8)),
    'png 16 bits': (opencv(DEEP[..., ::-1], '.png'), DEEP >> 8),
    'png rgba 16 bits': (opencv(np.dstack([DEEP[..., ::-1], DEEP[..., 0]]), '.png'), DEEP >> 8),
    'png grey alpha': (pillow(np.dstack([GREY, NIR])), grey3(GREY)),
    'png bilevel': (pillow(GREY > 99), grey3((GREY > 99) * np.uint8(255))),
    'png palette': (pillow(RGB // 128 * 255, mode='P'), RGB // 128 * 255),
    'png grey transparent': (pillow(GREY, transparency=7), grey3(GREY)),
    'png animated': (frames('PNG'), 'animated'), 'png cut': (cut(pillow(RGB), 0.6), 'damaged'),
    'jpeg': (pillow(SMOOTH, 'JPEG', quality=90), decoded('JPEG')),
    'jpeg grey': (pillow(GREY, 'JPEG', quality=100, subsampling=0), None),
    'jpeg orientation in XMP': (pillow(SMOOTH, 'JPEG', quality=90, xmp=XMP), decoded('JPEG')),
    'jpeg cut': (cut(pillow(SMOOTH, 'JPEG'), 0.6), 'damaged'),
    'bmp': (pillow(RGB, 'BMP'), RGB), 'bmp rgba': (pillow(RGBN, 'BMP'), RGB),
    'bmp grey': (pillow(GREY, 'BMP'), grey3(GREY)),
    'bmp cut': (cut(pillow(RGB, 'BMP'), 0.6), 'damaged'),
    'webp': (pillow(RGB, 'WEBP', lossless=True), RGB),
    'webp lossy': (pillow(SMOOTH, 'WEBP', quality=90), decoded('WEBP')),
    'webp rgba': (pillow(RGBN, 'WEBP', lossless=True, exact=True), RGB),
    'webp animated': (frames('WEBP'), 'animated'),
    'webp cut': (cut(pillow(RGB, 'WEBP', lossless=True), 0.6), 'damaged'),
    **{f'png orientation {number}': (oriented('PNG', number), turned(number)) for number in range(1, 9)},
    **{f'webp orientation {number}': (oriented('WEBP', number), turned(number)) for number in (3, 6)},
    'gif': (pillow(GREY, 'GIF'), 'its format is GIF'), 'jp2': (pillow(RGB, 'JPEG2000'), 'its format is JPEG 2000'),
    'macOS': (lambda path: path.write_bytes(b'\0\x05\x16\x07' + bytes(80)), 'metadata of macOS'),
    'empty': (lambda path: path.touch(), 'damaged or not an image'),
}

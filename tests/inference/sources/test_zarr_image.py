"""Zarr folders are images; a missing chunk has the fill value, and a damaged one is named by file and window."""
import numpy as np
import pytest
import zarr
from numcodecs import Blosc
from pyramids import chunk_files, random_levels, write_ome_zarr

from xcit_mm.errors import InputError
from xcit_mm.inference.sources import ReadOptions, ZarrImage, find_images, is_picture, open_source, result_name

AS_STORED = ReadOptions(as_stored=True)


def read(path, options=AS_STORED):
    with open_source(path, options) as source:
        return source.reader().read_all().numpy()


@pytest.mark.parametrize('version', [2, 3])
@pytest.mark.parametrize('shape', [(301, 141), (301, 141, 4)], ids=str)
def test_plain_arrays_have_their_bands_last(tmp_path, shape, version):
    pixels = np.random.default_rng(0).integers(0, 2**16, shape, 'uint16').astype('>u2')
    zarr.create_array(tmp_path / 'array', data=pixels, chunks=(50, 60, 2)[:len(shape)], zarr_format=version)
    assert np.array_equal(read(tmp_path / 'array'), pixels.reshape(301, 141, -1))


def test_a_chunk_that_is_not_stored_has_the_fill_value(tmp_path):
    levels = random_levels()
    path = write_ome_zarr(tmp_path / 'a.zarr', levels, fill_value=7)
    (path / '0/c/0/1/1/2').unlink()
    levels[0][64:128, 64:96, 1] = 7
    assert np.array_equal(read(path), levels[0])


@pytest.mark.parametrize('version, options', [
    ('0.4', dict(compressors=Blosc())), ('0.4', dict(compressors=None)), ('0.5', dict()),
    ('0.5', dict(compressors=zarr.codecs.BloscCodec())), ('0.5', dict(shards=(1, 3, 128, 64)))],
                         ids=['0.4 blosc', '0.4 raw', '0.5', '0.5 blosc', '0.5 shards'])
@pytest.mark.parametrize('damage', ['cut', 'empty', 'noise'])
def test_a_damaged_chunk_is_named_by_file_and_window(tmp_path, version, options, damage):
    path = write_ome_zarr(tmp_path / 'a.zarr', random_levels((600, 144)), version, **options)
    is_sharded, is_raw = 'shards' in options, options.get('compressors', '') is None
    chunk = path / ('0/0.1.5.2' if version == '0.4' else '0/c/0/0/2/1' if is_sharded else '0/c/0/1/5/2')
    content = chunk.read_bytes()
    noise = np.random.default_rng(1).bytes(len(content) + is_raw)  # any bytes are valid if they are not compressed
    chunk.write_bytes(dict(cut=content[:len(content) // 2], empty=b'', noise=noise)[damage])
    with open_source(path) as source:
        reader = source.reader()
        assert reader.read(0, 256).any()
        with pytest.raises(InputError, match='a.zarr: the window of rows 256 to 512 and columns 64 to 96 is damaged'):
            reader.read(256, 257)


def test_folders_that_are_images_count_as_files(tmp_path):
    levels = random_levels()
    for name in ('a.ome.zarr', 'sub/b.zarr', '.hidden.zarr'):
        write_ome_zarr(tmp_path / name, levels)
    image = tmp_path / 'a.ome.zarr'
    assert find_images([tmp_path]) == [image] == find_images([image])
    assert find_images([tmp_path], recursive=True) == [image, tmp_path / 'sub/b.zarr']
    assert result_name(image, [tmp_path]) == result_name(image, [image]) == 'a.ome'
    assert not is_picture(image)
    with open_source(image) as source:
        assert type(source) is ZarrImage


def test_unusable_folders_are_named(tmp_path, monkeypatch):
    levels = random_levels()
    (tmp_path / 'empty.zarr').mkdir()
    (tmp_path / 'file.zarr').touch()
    several = zarr.create_group(tmp_path / 'several.zarr')
    several.create_group('labels')
    write_ome_zarr(tmp_path / 'several.zarr/1', levels)
    stack = write_ome_zarr(tmp_path / 'stack.zarr', levels)
    zarr.open(stack)['0'].resize((2, 3, 304, 144))
    broken = write_ome_zarr(tmp_path / 'broken.zarr', levels)
    (broken / '1/zarr.json').write_text('{')
    zarr.create_array(tmp_path / 'deep.zarr', shape=(2, 3, 4, 5), dtype='uint8')
    zarr.create_array(tmp_path / 'first.zarr', shape=(3, 40, 50), dtype='uint8')
    zarr.create_array(tmp_path / 'double.zarr', shape=(20, 30), dtype='float64')
    for name, reason in (('none', 'no image folder'), ('file', 'it is a file'),
                         ('empty', 'Zarr metadata are missing or damaged'),
                         ('several', f'name one of the images in it, e.g. {tmp_path}/several.zarr/1'),
                         ('stack', 'it holds 2 slices or time points along t; save the one'),
                         ('broken', 'Zarr metadata are missing or damaged'), ('double', 'its values are float64'),
                         ('first', r'its dimensions \(3, 40, 50\) look like \(bands, H, W\)'),
                         ('deep', r'its dimensions \(2, 3, 4, 5\) are not \(H, W\)')):
        with pytest.raises(InputError, match=f'{tmp_path / name}.zarr.*{reason}|{reason} {tmp_path / name}.zarr'):
            open_source(tmp_path / f'{name}.zarr')
    assert find_images([tmp_path / 'several.zarr/1']) and len(chunk_files(stack)) > 9
    monkeypatch.setattr('xcit_mm.inference.sources.packages.find_spec', lambda name: None)
    with pytest.raises(InputError, match=r"stack.zarr needs zarr: pip install 'xcit_mm\[zarr\]'"):
        open_source(stack)


def test_checksums_after_blosc_are_no_damage(tmp_path):
    levels = random_levels()
    codecs = [zarr.codecs.BloscCodec(), zarr.codecs.Crc32cCodec()]
    path = write_ome_zarr(tmp_path / 'a.zarr', levels, compressors=codecs)
    assert np.array_equal(read(path), levels[0])

"""``model-index.yml`` and the files it imports list every published result with its config and weights."""
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FILES = yaml.safe_load((ROOT / 'model-index.yml').read_text())['Import']
SIZES = ('tiny_12', 'small_12', 'small_24', 'medium_24')
PUBLISHED = [f'{size}_p{patch}' for size in SIZES for patch in (16, 8)]
RESULTS = {  # as published, in the order of PUBLISHED
    'sem_fpn': [[38.1], [39.9], [43.9], [44.2], [44.6], [47.1], [45.9], [46.9]],
    'upernet': [[41.5], [43.5], [45.9], [46.6], [46.9], [48.1], [47.6], [48.4]],
    'mask_rcnn': [[42.7, 38.5], [44.5, 40.3], [45.3, 40.8], [47.0, 42.3],
                  [46.5, 41.8], [48.1, 43.0], [46.7, 42.0], [48.5, 43.7]]}
STEMS = {'sem_fpn': 'ade/sem_fpn', 'upernet': 'ade/upernet', 'mask_rcnn': 'coco/maskrcnn'}
METRICS = {'sem_fpn': ['mIoU'], 'upernet': ['mIoU'], 'mask_rcnn': ['box AP', 'mask AP']}


def test_every_metafile_is_listed():
    assert sorted(FILES) == sorted(str(path.relative_to(ROOT)) for path in (ROOT / 'configs').rglob('metafile.yml'))


@pytest.mark.parametrize('file', FILES)
def test_each_published_model_has_config_weights_and_results(file):
    content, head = yaml.safe_load((ROOT / file).read_text()), Path(file).parent.name
    collection, = content['Collections']
    assert len(content['Models']) == len(PUBLISHED) == 8
    for arch, model, result in zip(PUBLISHED, content['Models'], RESULTS[head]):
        assert f'_{arch}_' in model['Name'] and model['Config'] == f'configs/{head}/{model["Name"]}.py'
        assert (ROOT / model['Config']).is_file() and model['In Collection'] == collection['Name']
        assert model['Weights'] == f'https://dl.fbaipublicfiles.com/xcit/{STEMS[head]}_xcit_{arch}.pth'
        assert [value for metrics in model['Results'] for value in metrics['Metrics'].values()] == result
        assert [name for result in model['Results'] for name in result['Metrics']] == METRICS[head]


def test_document_agrees_with_the_metafiles():
    rows = [[cell.strip() for cell in line.strip('|').split('|')]
            for line in (ROOT / 'docs/zoo.md').read_text().splitlines() if line.startswith('| [')]
    listed = {row[0].partition('](')[2].rstrip(')').removeprefix('../'): row[1:] for row in rows}
    for file in FILES:
        for model in yaml.safe_load((ROOT / file).read_text())['Models']:
            published = ' / '.join(str(value) for result in model['Results'] for value in result['Metrics'].values())
            assert listed.pop(model['Config']) == [published, f'[weights]({model["Weights"]})']
    assert not listed

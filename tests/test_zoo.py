"""``model-index.yml`` and what it imports: every published result has its config, and weights of that architecture."""
from pathlib import Path

import pytest
import yaml

from xcit_mm.variants import ARCHITECTURES

ROOT = Path(__file__).resolve().parents[1]
FILES = yaml.safe_load((ROOT / 'model-index.yml').read_text())['Import']
SIZES = ('tiny_12', 'small_12', 'small_24', 'medium_24')
PUBLISHED = [arch for arch in ARCHITECTURES if arch.startswith(SIZES)]
METRICS = {'sem_fpn': ['mIoU'], 'upernet': ['mIoU'], 'mask_rcnn': ['box AP', 'mask AP']}


def test_every_metafile_is_listed():
    assert sorted(FILES) == sorted(str(path.relative_to(ROOT)) for path in (ROOT / 'configs').rglob('metafile.yml'))


@pytest.mark.parametrize('file', FILES)
def test_each_published_model_has_config_weights_and_results(file):
    content, head = yaml.safe_load((ROOT / file).read_text()), Path(file).parent.name
    collection, = content['Collections']
    assert len(content['Models']) == len(PUBLISHED) == 8
    for arch, model in zip(sorted(PUBLISHED), sorted(content['Models'], key=lambda model: model['Name'])):
        assert f'_{arch}_' in model['Name'] and model['Config'] == f'configs/{head}/{model["Name"]}.py'
        assert (ROOT / model['Config']).is_file() and model['In Collection'] == collection['Name']
        assert model['Weights'].endswith(f'_xcit_{arch}.pth')
        assert [name for result in model['Results'] for name in result['Metrics']] == METRICS[head]


def test_the_document_says_what_the_metafiles_say():
    rows = [[cell.strip() for cell in line.strip('|').split('|')]
            for line in (ROOT / 'docs/zoo.md').read_text().splitlines() if line.startswith('| [')]
    said = {row[0].partition('](')[2].rstrip(')').removeprefix('../'): row[1:] for row in rows}
    for file in FILES:
        for model in yaml.safe_load((ROOT / file).read_text())['Models']:
            published = ' / '.join(str(value) for result in model['Results'] for value in result['Metrics'].values())
            assert said.pop(model['Config']) == [published, f'[weights]({model["Weights"]})']
    assert not said

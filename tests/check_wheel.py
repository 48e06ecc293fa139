"""Fail unless a built wheel contains exactly the package, its configs and the user-facing tools."""
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VIEWER = ROOT / 'xcit_mm/inference/results/page/viewer'


def main(wheel: str) -> None:
    actual = {name for name in zipfile.ZipFile(wheel).namelist() if '.dist-info/' not in name}
    package = {str(path.relative_to(ROOT)) for path in [*(ROOT / 'xcit_mm').rglob('*.py'), *VIEWER.iterdir()]}
    extra = {f'xcit_mm/.mim/{path.relative_to(ROOT)}'
             for path in [ROOT / 'model-index.yml', *(ROOT / 'configs').rglob('*'), *(ROOT / 'tools').rglob('*')]
             if path.is_file() and path.suffix != '.pyc' and 'benchmark' not in str(path.relative_to(ROOT))}
    expected = package | extra
    if actual != expected:
        sys.exit(f'{wheel}: missing {sorted(expected - actual)}, unexpected {sorted(actual - expected)}')
    print(f'{wheel}: {len(actual)} files, as expected')


if __name__ == '__main__':
    main(sys.argv[1])

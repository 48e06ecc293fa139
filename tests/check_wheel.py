"""Fail unless a built wheel holds the package, its configs and its tools, and nothing else."""
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main(wheel: str) -> None:
    held = {name for name in zipfile.ZipFile(wheel).namelist() if '.dist-info/' not in name}
    package = {str(path.relative_to(ROOT)) for path in (ROOT / 'xcit_mm').rglob('*.py')}
    extra = {f'xcit_mm/.mim/{path.relative_to(ROOT)}'
             for path in [ROOT / 'model-index.yml', *(ROOT / 'configs').rglob('*'), *(ROOT / 'tools').rglob('*')]
             if path.is_file() and path.suffix != '.pyc' and 'benchmark' not in str(path.relative_to(ROOT))}
    wanted = package | extra
    if held != wanted:
        sys.exit(f'{wheel}: missing {sorted(wanted - held)}, unexpected {sorted(held - wanted)}')
    print(f'{wheel}: {len(held)} files, as wanted')


if __name__ == '__main__':
    main(sys.argv[1])

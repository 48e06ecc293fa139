"""Fail unless a built wheel holds the package, its configs and its tools, nothing else, and lends its configs."""
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHILD = "_base_ = __import__('xcit_mm').config_path('xcit_upernet_digits.py')"
PURE = "from torch import nn\nglobals().update(__import__('xcit_mm').config_dict('xcit_upernet_digits.py'))"
INHERIT = """
import xcit_mm
from mmengine.config import Config
assert '.mim' in xcit_mm.config_path('xcit_upernet_digits.py'), xcit_mm.__file__
assert Config.fromfile('child.py').model.backbone.type == 'XCiT'
assert Config.fromfile('pure.py').model.backbone.type == 'XCiT'
"""


def main(wheel: str) -> None:
    archive = zipfile.ZipFile(wheel)
    held = {name for name in archive.namelist() if '.dist-info/' not in name}
    package = {str(path.relative_to(ROOT)) for path in (ROOT / 'xcit_mm').rglob('*.py')}
    extra = {f'xcit_mm/.mim/{path.relative_to(ROOT)}'
             for path in [ROOT / 'model-index.yml', *(ROOT / 'configs').rglob('*'), *(ROOT / 'tools').rglob('*')]
             if path.is_file() and path.suffix != '.pyc'}
    wanted = package | extra
    if held != wanted:
        sys.exit(f'{wheel}: missing {sorted(wanted - held)}, unexpected {sorted(held - wanted)}')
    with tempfile.TemporaryDirectory() as folder:
        archive.extractall(folder)
        Path(folder, 'child.py').write_text(CHILD)
        Path(folder, 'pure.py').write_text(PURE)
        subprocess.run([sys.executable, '-c', INHERIT], cwd=folder, check=True)
    print(f'{wheel}: {len(held)} files, as wanted, and configs that can be inherited')


if __name__ == '__main__':
    main(sys.argv[1])

"""Packaging. A wheel includes the configs and tools in ``xcit_mm/.mim``, like the wheels of the MM packages."""
import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent


class BuildWithMim(build_py):
    """Add ``configs/`` and ``tools/`` to a built package; an editable install uses the ones in the checkout."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            mim = Path(self.build_lib, 'xcit_mm', '.mim')
            left_out = shutil.ignore_patterns('__pycache__', '*benchmark*')  # benchmarks only make sense in a checkout
            for folder in ('configs', 'tools'):
                shutil.copytree(HERE / folder, mim / folder, dirs_exist_ok=True, ignore=left_out)
            shutil.copy(HERE / 'model-index.yml', mim)


VIEWER = 'xcit_mm/inference/results/page/viewer'
VERSION = re.search(r"__version__ = '(.+)'", (HERE / 'xcit_mm/__init__.py').read_text())[1]
TIFF = ['tifffile>=2024.1', 'imagecodecs>=2024.1']
GEO = [*TIFF, 'rasterio>=1.4', 'pyogrio>=0.10', 'shapely>=2.1']
# Results of slides and OME-Zarr are OME-TIFF files.
SLIDES = [*TIFF, 'openslide-python>=1.4', 'openslide-bin>=4.0']
ZARR = [*TIFF, 'zarr>=3.0']  # needs Python 3.11
SAFETENSORS = ['safetensors>=0.4']
DATA = ['pooch>=1.8', 'requests>=2.28', 'opencv-python>=4.8']
EXPORT = ['torch>=2.9', 'onnx>=1.16', 'onnxruntime>=1.18', 'onnxscript>=0.5']
DIGITS = ['scikit-learn>=1.3', 'scikit-image>=0.22', 'opencv-python>=4.8']

setup(
    name='xcit_mm',
    version=VERSION,
    description='XCiT as a backbone for MMSegmentation and MMDetection: segmentation of large images in bounded memory',
    long_description=(HERE / 'README.md').read_text(),
    long_description_content_type='text/markdown',
    license='Apache-2.0 AND BSD-3-Clause',  # the latter is that of OpenSeadragon
    license_files=['LICENSE', f'{VIEWER}/openseadragon-LICENSE.txt'],
    python_requires='>=3.10',
    # tests/adoption.sh has passed with each of these versions.
    classifiers=[f'Programming Language :: Python :: 3.{minor}' for minor in (10, 11, 12, 13)],
    packages=find_packages(include=['xcit_mm', 'xcit_mm.*']),
    package_data={'xcit_mm.inference.results.page': ['viewer/*']},
    install_requires=['torch>=2.6', 'filelock>=3.12', 'numpy>=1.24', 'pillow>=10.1', 'psutil>=5.9', 'rich>=13'],
    # The two MM families use the same import names, so install only one of them.
    extras_require={
        'onedl': ['onedl-mmengine>=0.10.12', 'onedl-mmcv>=2.3.6', 'onedl-mmsegmentation>=1.4.2'],
        'onedl-det': ['onedl-mmdetection>=3.5.1'],
        # OpenMMLab's mmseg imports ftfy and regex but does not declare them as dependencies.
        'openmmlab': ['mmengine>=0.10.7', 'mmcv>=2.1.0,<2.2', 'mmsegmentation>=1.2.2', 'ftfy', 'regex'],
        'openmmlab-det': ['mmdet>=3.3.0'],
        'data': DATA,
        'digits': DIGITS,
        'safetensors': SAFETENSORS,
        'tiff': TIFF,
        'geo': GEO,
        'slides': SLIDES,
        'zarr': ZARR,
        'export': EXPORT,
        'dev': [*DATA, *DIGITS, *SAFETENSORS, *GEO, *SLIDES, *ZARR, *EXPORT, 'build>=1.2', 'furo>=2024.8',
                'hypothesis>=6.100', 'import-linter>=2.1', 'ipykernel>=6', 'loralib>=0.1.2', 'matplotlib>=3.8',
                'mypy>=2.4', 'myst-parser>=4', 'nbclient>=0.10', 'openvino>=2024.6', 'peft>=0.17', 'pylint>=4',
                'pytest>=8', 'pytest-xdist>=3.6', 'rio-cogeo>=5.4', 'ruff>=0.6', 'selenium>=4.20', 'sphinx>=8',
                'sybil>=9', 'tensorboard>=2.17'],
    },
    cmdclass={'build_py': BuildWithMim},
)

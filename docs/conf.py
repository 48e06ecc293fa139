"""Sphinx: make docs."""
import xcit_mm

project, release = 'xcit_mm', xcit_mm.__version__
copyright = 'the authors of xcit_mm'
extensions = ['myst_parser', 'sphinx.ext.autodoc', 'sphinx.ext.napoleon']
html_theme = 'furo'
exclude_patterns = ['_build']
myst_heading_anchors = 3
autodoc_typehints = 'none'  # the docstrings give the types, with shapes and units
napoleon_custom_sections = [('Shape', 'params_style')]

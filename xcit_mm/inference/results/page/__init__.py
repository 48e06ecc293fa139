"""A page that shows a result over the image in a browser, from disk and without a network."""
from .page import Page

__all__ = ['Page']

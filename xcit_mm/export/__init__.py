"""Export models to files that run without this package: ONNX files and ``torch.export`` programs."""
from .exporting import export, require_format
from .functions import exported_function

__all__ = ['export', 'exported_function', 'require_format']

"""Train on rasters as they are: random windows of large files, with labels from rasters or polygons."""
from .dataset import RasterDataset
from .loading import LoadRasterLabels, LoadRasterWindow

__all__ = ['LoadRasterLabels', 'LoadRasterWindow', 'RasterDataset']

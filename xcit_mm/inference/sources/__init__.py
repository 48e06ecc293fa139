"""Sources of pixels."""

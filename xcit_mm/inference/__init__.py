"""Inference on images of any size: pixels in, labels or objects out."""

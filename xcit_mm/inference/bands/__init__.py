"""Computation of feature maps by bands of rows."""

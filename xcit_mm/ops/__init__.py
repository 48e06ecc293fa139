"""Numerical building blocks, independent of any network."""

"""Numerical building blocks that know no network."""

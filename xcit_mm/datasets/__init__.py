"""Data sets that this package either composes or downloads and prepares."""

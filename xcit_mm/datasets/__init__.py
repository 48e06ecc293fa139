"""Data sets that this package composes or downloads and prepares."""

"""Data sets that this package makes or prepares."""

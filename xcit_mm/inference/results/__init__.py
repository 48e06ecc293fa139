"""Sinks for labels and objects."""

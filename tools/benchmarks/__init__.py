"""The measurements, contenders, tables and plots of ``tools/benchmark.py``."""

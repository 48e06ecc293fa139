"""Speed and memory, as ``tools/benchmark.py`` measures them: contenders side by side in one process."""

"""Stand in for transformers, as if it were not installed; see ``without_transformers`` in ``tests/conftest.py``."""
raise ImportError('the tests hide transformers from the processes that they start')

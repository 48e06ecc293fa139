"""Stand for a package that is not installed; see ``without_transformers`` in ``tests/conftest.py``."""
raise ImportError('the tests hide transformers from the processes that they start')

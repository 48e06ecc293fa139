"""The number of inputs for each test: 60 in the suite, 1,600 with ``--hypothesis-profile=thorough``."""
from hypothesis import HealthCheck, settings

COMMON = dict(deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
settings.register_profile('short', max_examples=60, derandomize=True, database=None, **COMMON)
settings.register_profile('thorough', max_examples=1600, **COMMON)
settings.load_profile('short')

"""The number of inputs: a few in the suite, 10,000 with ``--hypothesis-profile=thorough``."""
from datetime import timedelta

from hypothesis import HealthCheck, settings

COMMON = dict(deadline=timedelta(minutes=1), suppress_health_check=list(HealthCheck), print_blob=True)
settings.register_profile('short', max_examples=60, derandomize=True, database=None, **COMMON)
settings.register_profile('thorough', max_examples=2500, **COMMON)
settings.load_profile('short')

"""Fixtures that tests of several folders share, and how properties are searched."""

from hypothesis import settings

from tests.faults.conftest import command
from tests.tracking.conftest import migrated

__all__ = ["command", "migrated"]

settings.register_profile("untimed", deadline=None)  # how busy a machine is decides no test
settings.load_profile("untimed")

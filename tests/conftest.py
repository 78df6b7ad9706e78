"""Fixtures that tests of several folders share."""

from tests.faults.conftest import command
from tests.tracking.conftest import migrated

__all__ = ["command", "migrated"]

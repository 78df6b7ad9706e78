"""Fixtures that tests of several folders share."""

from tests.tracking.conftest import migrated

__all__ = ["migrated"]

"""Fixtures that tests of several folders share, and how properties are searched."""

import pytest
from hypothesis import settings

from tests.faults.conftest import command
from tests.tracking.conftest import migrated

__all__ = ["command", "migrated"]

settings.register_profile("untimed", deadline=None)  # how busy a machine is decides no test
settings.load_profile("untimed")

LONGEST = ("tests/test_wheel.py", "tests/test_same.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes minutes by itself begins first, so that nobody waits for it in the end."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))

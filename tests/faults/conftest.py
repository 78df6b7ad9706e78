"""One process that starts commands, and one server a test."""

from collections.abc import Iterator

import pytest

from tests.faults.commands import Commands


@pytest.fixture(scope="session")
def command() -> Iterator[Commands]:
    with Commands() as commands:
        yield commands

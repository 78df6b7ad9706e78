"""The loop that mechanisms are admitted to, and what its gates need of it, made once."""

from collections.abc import Sequence

import pytest

from bilevel.admission.fitted import Fitted
from bilevel.admission.shipped import loaded
from bilevel.admission.situations import Situation, situations
from bilevel.sandbox.worker_handle import CONFINING, Limits, missing
from bilevel.view import View


@pytest.fixture(scope="session")
def view() -> View:
    return loaded("trap")


@pytest.fixture(scope="session")
def task(view: View) -> Fitted:
    return Fitted.of(view)


@pytest.fixture(scope="session")
def made_situations(view: View, task: Fitted) -> Sequence[Situation]:
    return situations(view, task)


@pytest.fixture(scope="session")
def limits() -> Limits:
    """Strict where this machine can confine; the gates are the same without a wall."""
    confined = any(not missing(layer) for layer in CONFINING)
    return Limits("confined" if confined else "unsafe", call_s=5.0)

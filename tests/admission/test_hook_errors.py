"""What an error comes to in a prompt: nothing that its own code has said."""

import pytest

from bilevel.admission.hook_errors import KINDS, REMEDIES, blamed
from bilevel.sandbox.failures import STOPS

SOURCE = "one = 1\nraise ValueError(one)\n"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("MechanismRaised: ValueError: 17:04 (line 2)", "raised ValueError at line 2: `raise Va"),
        ("MechanismRaised: ValueError (line 2)", "raised ValueError at line 2: `raise Va"),
        ("MechanismRaised: ValueError: 17:04 (line 9)", "raised ValueError"),
        ("MechanismRaised: SystemExit", "raised SystemExit"),
        ("TimeLimit: no answer within the limit", "gave no answer in time"),
        ("Restless: it used", "went on computing when it had answered"),
        ("WorkerDied: it said: '...'", "ended its worker process"),
        ("TypeError: expected bool, got str", "answered with what the loop cannot use (TypeError)"),
    ],
)
def test_an_error_is_blamed_without_its_words(error: str, told: str) -> None:
    said = blamed(error, SOURCE)
    assert said.startswith(told)
    assert "17:04" not in said
    assert "expected" not in said


def test_every_way_in_which_a_worker_ends_has_its_words() -> None:
    assert KINDS.keys() == REMEDIES.keys() == STOPS.keys()

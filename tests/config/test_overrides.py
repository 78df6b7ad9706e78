"""What came up from a search is told as what it is."""

import pytest
from hydra.errors import ConfigCompositionException, InstantiationException

from bilevel.config.files import CONF
from bilevel.config.overrides import explain, reported_as
from bilevel.errors import BilevelError, ConfigError, JournalError, TaskError


def raised(first: Exception, then: Exception, *, caused: bool) -> Exception:
    """An error that was raised from another one, or while that one was being handled."""
    try:
        try:
            raise first
        except Exception as error:
            if caused:
                raise then from error
            raise then  # noqa: B904  it is what is tested
    except Exception as error:
        return error


def test_an_error_that_was_handled_before_is_not_the_one_that_is_told() -> None:
    full = OSError(28, "No space left on device", "journal.jsonl")
    told = reported_as(raised(ConfigError("no noise was measured"), full, caused=False))
    assert type(told) is BilevelError
    assert "No space left on device" in str(told)
    assert "the same command continues" in str(told)
    hidden = raised(JournalError("handled"), ValueError("no number"), caused=False)
    told = reported_as(raised(hidden, InstantiationException("cannot make it"), caused=True))
    assert isinstance(told, ConfigError)
    assert str(told) == "cannot make it"


@pytest.mark.parametrize("wrapped", [InstantiationException("in x"), OSError("in y")])
def test_an_error_of_ours_behind_another_one_is_told(wrapped: Exception) -> None:
    ours = TaskError("no corpus")
    assert reported_as(raised(ours, wrapped, caused=True)) is ours
    assert reported_as(ours) is ours


def test_a_setting_of_what_is_swept_is_told_with_the_form_that_hydra_takes() -> None:
    """In a sweep Hydra reads plain overrides before it knows the arm."""

    def told(key: str, swept: str) -> str:
        given = [f"arm={swept}", "task=trap", f"{key}=3"]
        return str(explain(ConfigCompositionException(f"Could not override '{key}'."), CONF, given))

    every = "outer.levels.inventor.every"
    assert f"write ++{every}=..." in told(every, "bilevel,sham")
    assert "(arm=bilevel,sham)" in told(every, "bilevel,sham")
    assert "++" not in told(every, "bilevel")
    assert f"did you mean {every}?" in told("outer.levels.inventor.evry", "bilevel,sham")

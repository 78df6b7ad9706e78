"""The example of somebody's own problem: real data, really trained, better when tuned."""

from collections.abc import Iterator

import pytest
from hydra import compose, initialize_config_dir

from bilevel.config.checks import check
from bilevel.config.files import CONF
from bilevel.config.overrides import plain
from bilevel.tasks.command import CommandTask
from bilevel.trace import Proposal


@pytest.fixture
def digits(monkeypatch: pytest.MonkeyPatch) -> Iterator[CommandTask]:
    monkeypatch.chdir(CONF.parent)
    with initialize_config_dir(str(CONF), version_base=None):
        settings = plain(compose("config", ["+experiment=digits"]))
    check(settings)
    assert settings["task"].pop("_target_") == "bilevel.tasks.CommandTask"
    made = CommandTask(**settings["task"])
    yield made
    made.close()


def test_it_reads_most_digits_and_more_when_tuned(digits: CommandTask) -> None:
    digits.ready()
    start, again, tuned = (
        digits.evaluate(None, Proposal(changes), seed=1).value
        for changes in ({}, {}, {"BATCH_SIZE": 32})
    )
    assert start is not None
    assert tuned is not None
    assert start == again
    assert 85 < start < 95 < tuned <= 100
    assert digits.objective.better(tuned, start)

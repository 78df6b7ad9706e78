"""Credit goes to whoever caused a trial, and never to whoever was merely attached."""

from pathlib import Path

import pytest

from bilevel.config.files import CONF
from bilevel.credit import Credit, credit, shared
from bilevel.search.from_journal import replay_exactly, settings_from_journal
from bilevel.trace import Proposal
from tests.helpers import Listed, loop
from tests.loop.test_rounds import doing, proposing
from tests.test_old_journals import JOURNALS, unpacked

GAINS: list[dict[str, object]] = [{"X": x} for x in (4.0, 3.0, 2.0, 1.0, 0.5, 0.25)]


def test_a_mechanism_whose_trials_lose_has_no_part_in_what_the_proposer_gained() -> None:
    ran = loop(*GAINS, mechanisms=[proposing("harms", 9.0)])
    ran.run()
    own, proposers = shared("harms", ran.trace, 0)
    assert (own.trials, own.kept) == (3, 0)
    assert own.mean_change is not None
    assert own.mean_change > 0
    assert (proposers.trials, proposers.kept) == (3, 3)
    assert proposers.mean_change is not None
    assert proposers.mean_change < 0
    [standing] = ran.view().mechanisms()
    assert (standing.credit, standing.proposers) == (own, proposers)


def test_the_span_is_that_in_which_it_was_attached() -> None:
    ran = loop(*GAINS)
    ran.run(2)
    ran.pipeline.attach(proposing("late", 9.0), trial=len(ran.trace))
    ran.run(2)
    ran.pipeline.detach("late", len(ran.trace))
    ran.run()
    [standing] = ran.view().mechanisms()
    assert (standing.credit.trials, standing.proposers.trials) == (1, 1)


def test_failures_count_and_have_no_change() -> None:
    crashes = doing("crashes", propose=lambda self, view: [Proposal({"MODE": "crash"})])
    ran = loop(*GAINS[:2], mechanisms=[crashes], proposer=Listed({"X": 4.0}))
    ran.run()
    own, _ = shared("crashes", ran.trace, 0)
    assert own == Credit(trials=1, kept=0, failed=1, mean_change=None)
    assert str(own) == "1 trials, 0 kept, 1 failed"
    assert own.metrics("own") == {"own_trials": 1.0, "own_kept": 0.0, "own_failed": 1.0}


def test_the_baseline_is_nobodys() -> None:
    ran = loop(*GAINS[:1])
    ran.run()
    assert credit(ran.trace, ran.trace).trials == 1


def test_what_a_strong_models_mechanism_came_to_by_its_own_trials(tmp_path: Path) -> None:
    """Its segment gained, and it was kept: the proposer had earned it."""
    path = unpacked(JOURNALS / "strong_model" / "bilevel-seed2.jsonl.gz", tmp_path)
    found = replay_exactly(
        settings_from_journal(path, CONF, [f"results={tmp_path}", "tracking=none"]), path
    )
    changes = [
        trial.value - found.loops[0].trace[trial.parent].value
        for trial in found.loops[0].trace
        if "kriged_step" in trial.caused_by
    ]
    assert changes == pytest.approx([0.023, -0.005, 0.000, 0.037, 0.097], abs=6e-4)
    kriged = next(one for _, one in found.inventory if one.name == "kriged_step")
    assert (kriged.credit.kept, kriged.proposers.kept) == (1, 4)
    assert kriged.credit.mean_change == pytest.approx(0.030457, abs=1e-6)
    assert kriged.proposers.mean_change == pytest.approx(-0.000920, abs=1e-6)

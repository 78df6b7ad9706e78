"""A mechanism is found in the journal of the search that wrote it, with what is known of it."""

from dataclasses import replace
from pathlib import Path

import pytest

from bilevel.discovery.provenance import provenance
from bilevel.discovery.written import Written, _Witness, written
from bilevel.errors import BadInput
from bilevel.journal import JOURNAL
from bilevel.search.build import begin, opened
from bilevel.search.execution import Execution
from bilevel.search.seed_noise import with_measured_noise
from bilevel.trace import Decision
from bilevel.tracking import NullTracker
from tests.test_conf import composed

SMALL = (
    *("arm=discover", "task=suite", "task.suite=classics", "task.inner=random", "task.llm=none"),
    *("task.trials=8", "task.repeats=1", "task.workers=1", "search.trials=1", "acceptance=always"),
    *("study=d", "seed=6"),  # the seed: one at which what is written helps on the training half
)


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That of a search of mechanisms whose one candidate is its best."""
    results = tmp_path_factory.mktemp("results")
    settings = with_measured_noise(composed(*SMALL, f"results={results}"))
    identity, folder = begin(settings)
    with opened(identity, folder) as kept:
        execution = Execution(identity, settings, folder, kept, NullTracker())
        execution.to_the_end()
    assert execution.loops[0].best is not execution.loops[0].trace[0]
    return folder / JOURNAL


@pytest.fixture(scope="module")
def found(journal: Path) -> Written:
    with pytest.raises(BadInput, match="invented and admitted: exhausted_patches"):
        written(journal, "nothing")
    return written(journal, "exhausted_patches")


def test_a_candidate_is_told_with_every_measurement_of_its_search(found: Written) -> None:
    assert found.is_searched_for
    assert found.complete
    told = provenance(found)
    for paragraph in (
        "Written by scripted (scripted) in study=d arm=discover seed=6 on task classics, as trial "
        "1 (keep).",
        f"Carrier: {found.invention.carrier}. Texts until one was admitted: 1.",
        f"Idea: {found.invention.behaviour}",
    ):
        assert paragraph in told
    searched, again = told[-2:]
    assert "(2 tasks, 2 searches): gain 0.030, +0.030 ± 0.030" in searched
    assert "The same on fresh seeds: " in again
    assert "On tasks held out: -0.023 ± 0.023" in again
    assert again.count("(2 tasks, fresh seeds: 1) against none.") == 2


def test_one_that_is_not_the_best_was_not_measured_again(found: Written) -> None:
    other = replace(found, confirmation=None, held_out=None)
    assert "not the best of its search" in provenance(other)[-1]


def test_of_several_with_one_name_the_one_that_was_kept_counts(found: Written) -> None:
    witness, kept = _Witness(), found.by
    later = replace(kept, trial=replace(kept.trial, number=2, decision=Decision.DISCARD))
    witness.trial(kept)
    witness.trial(later)
    assert witness.wrote["exhausted_patches"] is kept
    witness.trial(replace(later, trial=replace(later.trial, decision=Decision.KEEP)))
    assert witness.wrote["exhausted_patches"].trial.number == 2

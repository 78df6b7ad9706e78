"""The three defects of the published runner, each on a loop small enough to follow."""

from bilevel.journal import Journal, projection
from bilevel.loop.loop import Loop
from bilevel.mechanism import Mechanism
from bilevel.mechanisms.as_published import AsPublished
from bilevel.trace import Trial
from tests.helpers import Listed, loop

# a stretch of three: kept, discarded, discarded; then worse, and worse again
CHANGES: list[dict[str, object]] = [
    {"X": 2.0}, {"X": 6.0}, {"BATCH": 128},
    {"X": 7.0}, {"X": 8.0}, {"X": 6.5},
    {"MODE": "crash"}, {"X": 9.0}, {"X": 3.0},
]  # fmt: skip


def ran(*mechanisms: Mechanism, changes: list[dict[str, object]] = CHANGES) -> Loop:
    made = loop(*changes, mechanisms=mechanisms)
    made.run()
    return made


def decisions(made: Loop) -> list[str]:
    return [str(trial.decision) for trial in made.trace]


def brief_of(made: Loop, trial: int) -> list[int]:
    assert isinstance(made._proposer, Listed)
    return [t.number for t in made._proposer.briefs[trial - 1].trials]


def test_the_first_stretch_is_as_without_it() -> None:
    published, plain = ran(AsPublished(3)), ran()
    assert [*published.trace[:4]] == [*plain.trace[:4]]
    first: list[dict[str, object]] = [{"X": 9.0}, {"X": 4.0}]
    assert decisions(ran(AsPublished(3), changes=first)) == ["keep", "discard", "keep"]


def test_the_history_is_wiped() -> None:
    made = ran(AsPublished(3))
    assert [brief_of(made, trial) for trial in range(1, 10)] == [
        [0], [0, 1], [0, 1, 2], [], [4], [4, 5], [], [7], [7, 8],
    ]  # fmt: skip


def test_the_trial_after_a_restart_is_built_on_the_last_tried_one() -> None:
    made, plain = ran(AsPublished(3)), ran()
    assert made.trace[4].parent == 3
    assert made.trace[4].config == {"X": 7.0, "BATCH": 128, "MODE": "plain"}
    assert plain.trace[4].parent == 1
    assert [t.parent for t in made.trace[5:7]] == [4, 4]
    assert made.trace[7].parent == 6


def test_one_that_failed_is_not_built_on() -> None:
    changes: list[dict[str, object]] = [{"X": 2.0}, {"X": 6.0}, {"MODE": "crash"}, {"X": 7.0}]
    assert ran(AsPublished(3), changes=changes).trace[4].parent == 2


def test_the_first_trial_with_a_value_after_a_restart_is_kept_however_bad() -> None:
    made = ran(AsPublished(3))
    assert decisions(made)[:7] == [
        "keep", "keep", "discard", "discard", "keep", "discard", "keep",
    ]  # fmt: skip
    assert (made.trace[1].value, made.trace[4].value) == (10.0, 56.0)
    assert decisions(made)[7:] == ["fail", "keep", "keep"]  # the second one had a value first
    assert made.best is not None
    assert made.best.number == 1  # what was best stays known


def test_a_continued_search_comes_out_the_same() -> None:
    def rows(journal: Journal) -> list[object]:
        return [projection(entry) for entry in journal.entries]

    whole = Journal(None)
    loop(*CHANGES, mechanisms=[AsPublished(3)], journal=whole).run()
    cut = Journal(None)
    cut._recorded = {key: whole._recorded[key] for key in [*whole._recorded][:17]}
    loop(*CHANGES, mechanisms=[AsPublished(3)], journal=cut).run()
    assert rows(cut) == rows(whole)


def test_in_batches_too() -> None:
    made = loop(*CHANGES, mechanisms=[AsPublished(4)], batch=2)
    made.run()
    kept: list[Trial] = [t for t in made.trace[5:7] if t.kept]
    assert [t.parent for t in made.trace[5:7]] == [4, 4]
    assert len(kept) == 1  # the better one of the round, though neither gains

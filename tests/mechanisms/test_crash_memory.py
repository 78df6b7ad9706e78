"""Crash memory drops what lies close to a crash, says why, and forgets what was disproved."""

from typing import Any

from bilevel.baselines.random_search import RandomSearch
from bilevel.loop.activations import Liveness
from bilevel.mechanisms.crash_memory import CrashMemory
from bilevel.tasks.surrogate import Surrogate
from bilevel.trace import Proposal, Trial
from tests.helpers import Listed, loop
from tests.mechanisms.support import EVERY_KIND, trial, view

BASELINE = trial(EVERY_KIND, 0, {}, 1.0, kept=True)
CRASH = trial(EVERY_KIND, 1, {"RATE": 0.9, "LAYERS": 2}, None)


def rejection(trials: list[Trial], changes: dict[str, Any]) -> str:
    (judged,) = CrashMemory().review(view(trials), [Proposal(changes)])
    return judged.rejected


def test_it_rejects_close_to_a_crash_with_the_reason() -> None:
    said = rejection([BASELINE, CRASH], {"RATE": 0.8, "LAYERS": 2, "SHARE": 0.3})
    assert said == "too close to trial 1 (RATE=0.9, LAYERS=2), crash: it crashed"


def test_what_shares_only_a_part_of_the_explanation_may_run() -> None:
    assert rejection([BASELINE, CRASH], {"RATE": 0.9}) == ""
    assert rejection([BASELINE, CRASH], {"RATE": 0.2, "LAYERS": 2}) == ""


def test_something_that_ran_as_close_disproves_the_explanation() -> None:
    ran = trial(EVERY_KIND, 2, {"RATE": 0.85, "LAYERS": 2}, 1.2)
    assert rejection([BASELINE, CRASH, ran], {"RATE": 0.9, "LAYERS": 2, "SHARE": 0.1}) == ""


def test_a_crash_is_explained_by_the_change_in_what_it_was_built_on() -> None:
    kept = trial(EVERY_KIND, 1, {"SHARE": 0.4}, 0.9, kept=True)
    crash = trial(EVERY_KIND, 2, {"BATCH": 256}, None, before=kept.config, parent=1)
    assert "(BATCH=256)" in rejection([BASELINE, kept, crash], {"BATCH": 256, "SHARE": 0.0})


def test_a_crashing_choice_is_not_run_again() -> None:
    proposer = Listed({"MODE": "crash"}, {"MODE": "crash", "X": 1.0}, {"X": 1.0})
    ran = loop(proposer=proposer, trials=2, mechanisms=[CrashMemory()])
    ran.run()
    assert [dict(t.proposal.changes) for t in ran.trace[1:]] == [{"MODE": "crash"}, {"X": 1.0}]
    assert "MODE='crash'" in proposer.briefs[2].text
    assert ran.pipeline.liveness("crash_memory", trial=3) is Liveness.LIVE


def test_it_is_live_where_a_landscape_crashes() -> None:
    task = Surrogate("trap")
    ran = loop(
        task=task,
        proposer=RandomSearch(task.space, changes=1),
        trials=60,
        seed=1,
        mechanisms=[CrashMemory()],
    )
    ran.run()
    assert ran.pipeline.liveness("crash_memory", trial=61) is Liveness.LIVE
    assert ran.pipeline.ledger.errors("crash_memory") == 0

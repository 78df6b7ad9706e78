from dataclasses import replace

from bilevel.blade import words
from bilevel.discovery.accounts import MECHANISM
from bilevel.discovery.cells import CELLS, Cell, level, written
from bilevel.trace import Decision, Outcome, Proposal, Trial
from tests.discovery.mechanisms import GOOD
from tests.discovery.test_suite import suite


def trial(number: int, text: str, gains: dict[str, float], stopped: bool = False) -> Trial:
    """One that had these gains, at one seed of two in the case that it was stopped."""
    repeats = range(1 if stopped else 2)
    cells = [Cell(task, repeat, gain) for repeat in repeats for task, gain in gains.items()]
    names = ("taken", "failed_trials", "hook_errors", "over_hook_limit")
    metrics = {**dict.fromkeys(names, 0.0), "stopped_early": float(stopped)}
    outcome = Outcome(level(cells).mean, metrics=metrics, notes={CELLS: written(cells)})
    proposal = Proposal({MECHANISM: text}, "steps on")
    return Trial(number, None, proposal, {MECHANISM: text}, 1, outcome, Decision.KEEP)


NONE = trial(0, "", {"trap": 0.2, "noisy": 0.4})
BEST = trial(1, GOOD, {"trap": 0.4, "noisy": 0.5})


def test_feedback_tells_gains_by_task_and_paired_differences_and_no_text() -> None:
    told = words.feedback(trial(2, GOOD, {"trap": 0.6, "noisy": 0.7}), NONE, BEST)
    assert "Its gain is 0.650 ± 0.050, +0.350 ± 0.050 against none." in told
    assert "| 1 | 0.20 | 0.60 | 0.00 |" in told
    assert "The best text before had a gain of 0.450; this one is +0.200 ± 0.000" in told
    assert GOOD.splitlines()[-1] not in told
    assert "trap" not in told  # tasks have numbers: a name would be something to fit to


def test_the_first_text_has_none_before_it() -> None:
    assert "The best text before" not in words.feedback(BEST, NONE, NONE)


def test_what_was_stopped_says_whom_it_was_behind_and_what_its_score_is() -> None:
    behind = trial(2, GOOD, {"trap": 0.1, "noisy": 0.2}, stopped=True)
    behind = replace(behind, outcome=replace(behind.outcome, value=0.123))
    told = words.feedback(behind, NONE, BEST)
    assert "behind the best text before, and stopped after 2 of 4 searches" in told
    assert "its score, 0.123, is the other's gain and the difference so far." in told
    assert "behind no mechanism" in words.feedback(behind, NONE, NONE)


def test_the_task_is_told_as_discover_tells_it_without_a_search_and_with_their_form() -> None:
    told = words.task(suite())
    assert "It is judged on 2 tasks" in told
    assert "## Hooks for mechanisms" in told
    assert told.index("## Whole mechanisms") < told.index("## Rules")
    for heading in ("What stands now", "What was tried before", "Your task"):
        assert f"## {heading}" not in told
    assert "# Description: <one line>" in words.reply()

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from bilevel.discovery.accounts import MECHANISM
from bilevel.discovery.cells import CELLS, level, means, paired, read, written
from bilevel.discovery.suite import Suite
from bilevel.sandbox.worker_handle import Limits
from bilevel.trace import Decision, FailureKind, Outcome, Proposal, Trial
from tests.discovery.mechanisms import GOOD, HARMFUL, IDLE, REFUSED


def suite(**settings: Any) -> Suite:
    usual: dict[str, Any] = {
        "name": "classics",
        "suite": "classics",
        "inner": "random",
        "llm": "none",
        "trials": 12,
        "repeats": 3,
        "race": 0.0,
        "hook_limit_s": 30.0,
        "limits": Limits(),
        "workers": 1,
    }
    return Suite(**{**usual, **settings})


@pytest.fixture(scope="module")
def task() -> Iterator[Suite]:
    made = suite()
    yield made
    made.close()


@pytest.fixture(scope="module")
def none(task: Suite) -> Outcome:
    return task.evaluate(None, Proposal({}), seed=5)


def as_trial(outcome: Outcome, text: str = "") -> Trial:
    return Trial(0, None, Proposal({}), {MECHANISM: text}, 5, outcome, Decision.KEEP)


def tried(task: Suite, text: str, on: Trial | None = None, seed: int = 5) -> Outcome:
    return task.evaluate(on, Proposal({MECHANISM: text}), seed)


def test_the_value_is_the_mean_over_tasks_of_the_mean_over_seeds(none: Outcome) -> None:
    cells = read(none.notes)
    assert none.value == level(cells).mean
    assert [(cell.task, cell.repeat) for cell in cells] == [
        (task, repeat) for repeat in range(3) for task in ("trap", "interaction")
    ]
    assert none.metrics["gain/trap"] == means(cells)["trap"]
    assert none.metrics["cells"] == 6


def test_a_mechanism_is_judged_on_the_same_searches(task: Suite, none: Outcome) -> None:
    """The seeds are the evaluation's: without a mechanism a cell is what it was."""
    assert tried(task, "").notes == none.notes
    assert tried(task, "", seed=6).notes != none.notes


def test_one_that_helps_one_that_idles_and_one_that_harms(task: Suite, none: Outcome) -> None:
    before = read(none.notes)
    good, idle, harmful = (read(tried(task, text).notes) for text in (GOOD, IDLE, HARMFUL))
    assert paired(good, before).mean > 0.05
    assert paired(harmful, before).mean < 0
    assert abs(paired(idle, before).mean) < paired(good, before).mean


def test_it_tells_how_much_the_mechanism_decided_and_took(task: Suite) -> None:
    found = tried(task, GOOD)
    assert found.metrics["taken"] > 0.5
    assert found.metrics["hook_errors"] == 0
    assert found.clock["hook_s"] > 0
    assert 0.3 < tried(task, IDLE).metrics["taken"] < 0.6  # every other round is its turn


def test_a_text_that_a_gate_refuses_fails_with_its_reason(task: Suite) -> None:
    found = tried(task, REFUSED)
    assert found.failure is not None
    assert found.failure.kind is FailureKind.INVALID_PROPOSAL
    assert "lint: " in found.failure.detail


def test_one_that_raises_is_counted_and_the_search_goes_on(task: Suite, none: Outcome) -> None:
    """What the gates have not seen: it fails on tasks of this name only."""
    raises = '        [][len(view.trace) > 6 and "TOTAL_BATCH_SIZE" in view.space.baseline]\n'
    text = IDLE.replace("        return [", raises + "        return [")
    before = task._admissions.copy()
    task._admissions[text] = task._admission(IDLE, Proposal({}))
    found = tried(task, text)
    task._admissions.clear()
    task._admissions.update(before)
    assert found.metrics["hook_errors"] > 0
    assert found.value is not None


def test_one_that_takes_too_long_is_left_out_of_the_rest_of_a_search(none: Outcome) -> None:
    slow = suite(hook_limit_s=1e-6)
    found = tried(slow, GOOD)
    assert found.metrics["over_hook_limit"] == 6
    assert found.metrics["taken"] < 0.2


def test_a_candidate_that_is_behind_is_stopped_and_its_value_is_paired(none: Outcome) -> None:
    racing = suite(race=0.99)
    good = tried(racing, GOOD)
    found = tried(racing, HARMFUL, on=as_trial(good, GOOD))
    cells, rival = read(found.notes), read(good.notes)
    assert found.metrics["stopped_early"] == 1
    assert len(cells) < len(rival)
    assert found.value == pytest.approx(level(rival).mean + paired(cells, rival).mean)


def test_without_a_rival_nothing_is_stopped() -> None:
    assert tried(suite(race=0.99), HARMFUL).metrics["stopped_early"] == 0


def test_what_is_held_out_is_other_tasks(task: Suite, none: Outcome) -> None:
    other = task.held_out.evaluate(None, Proposal({}), seed=5)
    assert {cell.task for cell in read(other.notes)} == {"plateau", "noisy"}
    assert task.held_out.name != task.name
    assert {member.name for member in task.members} == {"trap", "interaction"}


def test_it_is_made_again_from_what_a_journal_keeps(task: Suite, none: Outcome) -> None:
    again = suite(suite="gone.yaml", inner="no such arm", **task.material())
    assert again.evaluate(None, Proposal({}), seed=5).notes == none.notes


def test_several_processes_find_the_same(none: Outcome) -> None:
    assert suite(workers=2).evaluate(None, Proposal({}), seed=5).notes == none.notes


def test_it_tells_the_protocol_and_nothing_of_the_tasks(task: Suite) -> None:
    about = task.describe()
    assert "2 tasks" in about.facts
    assert "12 trials (random proposes" in about.facts
    assert "trap" not in about.facts.replace("or traps", "")


def test_who_wrote_a_text_has_asked_the_gates_already(task: Suite) -> None:
    """Their verdict comes with the proposal, so that they are not asked twice."""
    proposal = Proposal({MECHANISM: REFUSED})
    verdict = task._admission(REFUSED, proposal)
    assert task._admission(REFUSED, replace(proposal)) is verdict


def test_cells_are_journalled_as_they_are(none: Outcome) -> None:
    back = Outcome.from_json(none.to_json())
    assert back.notes[CELLS] == written(read(none.notes))


def test_a_search_is_not_continued_with_another_stand_in_below(task: Suite) -> None:
    assert task.world() == {}  # nobody is asked
    told = suite(inner="level1", llm="scripted").world()
    assert {name.partition(" of ")[2] for name in told} == {"level1 with scripted"}
    assert {name.partition(" of ")[0] for name in told} >= {"prompts", "stand_in"}


def test_after_the_last_block_nothing_is_stopped(task: Suite, none: Outcome) -> None:
    """Another look would add to the chance of stopping one that is not behind."""
    racing, good = suite(race=0.99), tried(task, GOOD)
    whole, rival = read(tried(task, HARMFUL).notes), read(good.notes)
    assert racing._is_behind(whole[:2], rival)
    assert not racing._is_behind(whole, rival)

"""Several mechanisms a session: the best on small tasks is proposed, if it is better than none."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bilevel.admission import admit
from bilevel.admission.shipped import loaded
from bilevel.discovery import screened
from bilevel.discovery.cells import Cell
from bilevel.discovery.screened import ONE_ERROR, Screened
from bilevel.errors import ConfigError
from bilevel.invention import Admission, Attempt, GateVerdict, Invention, Screening
from bilevel.journal import Journal, read
from bilevel.levels import account
from bilevel.levels.attaching import Attaching
from bilevel.levels.segment import Segment
from bilevel.loop.acceptance import Always
from bilevel.loop.loop import Loop
from bilevel.sandbox.worker_handle import Limits
from bilevel.tasks.surrogate import Surrogate
from bilevel.view import Brief, View
from tests.discovery.mechanisms import GOOD, HARMFUL
from tests.helpers import Listed

PASSED = (GateVerdict("parse", True, "fine"),)
REFUSED = Admission(False, (GateVerdict("lint", False, "line 1: no"),))
UNSAFE = Limits("unsafe")
TASKS = ("a", "b", "c")


def made(name: str, source: str = "", admission: Admission | None = None) -> Invention:
    found = admission or Admission(True, PASSED, name, "code", ("propose", "review"))
    problem = found.problem
    attempts = (Attempt(source or name, found),)
    return Invention(name, "code", behaviour=f"{name} acts.", attempts=attempts, problem=problem)


class Writes:
    """In the inventor's place: gives its mechanisms in order, from the start in each session, and
    keeps what it was told of those before."""

    def __init__(self, *made: Invention) -> None:
        self.told: list[list[str]] = []
        self._made = made

    def session(self, view: View, brief: Brief, others: Sequence[Invention] = ()) -> Invention:
        self.told.append([one.name for one in others])
        one = self._made[len(others)]
        found = {"name": one.name}
        assert view.recall("admission/0", found, lambda: found) == found
        return one


def screening_of(inventor: Any, count: int, **settings: Any) -> Screened:
    usual: dict[str, Any] = {
        "limits": UNSAFE,
        "candidates": count,
        "suite": "classics",
        "inner": "random",
        "trials": 12,
        "repeats": 2,
        "surrogates": 0,
        "fitted_from": 5,
        "hook_limit_s": 30.0,
        "workers": 1,
    }
    return Screened(inventor, **{**usual, **settings})


def cells(*gains: float, taken: float = 0.0) -> list[dict[str, Any]]:
    every = zip(TASKS, gains, strict=True)
    return [Cell(task, 0, gain, taken).to_json() for task, gain in every]


@pytest.fixture(scope="module")
def view() -> View:
    return loaded("trap")


def decided(
    view: View, found: Mapping[str, list[dict[str, Any]]], *refused: str, **settings: Any
) -> Invention:
    """What is proposed where none and these mechanisms have these cells."""

    def recall(
        what: str, request: Mapping[str, Any], produce: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        if what == "screening":
            return {"judge": "three tasks", "cells": [*found.values()]}
        return produce()

    writes = [
        *(made(name) for name in [*found][1:]),
        *(made(n, admission=REFUSED) for n in refused),
    ]
    by = screening_of(Writes(*writes), len(writes), **settings)
    [proposal] = by.propose(replace(view, recall=recall), Brief())
    assert proposal.mechanism is not None
    return proposal.mechanism


def screening(one: Invention) -> Screening:
    assert one.screening is not None
    return one.screening


NONE = {"none": cells(0.1, 0.2, 0.0)}
AHEAD = {"ahead": cells(0.3, 0.4, 0.1, taken=0.5)}
BEHIND = {"behind": cells(0.1, 0.1, 0.0)}
UNSURE = {"unsure": cells(0.5, 0.1, 0.0)}  # +0.1 on average, with an error of 0.15


def test_the_best_is_proposed_and_every_candidate_is_kept_with_its_score(view: View) -> None:
    found = decided(view, {**NONE, **BEHIND, **AHEAD}, "refused")
    assert (found.name, found.source, found.admitted) == ("ahead", "ahead", True)
    one = screening(found)
    assert [c.made.name for c in one.candidates] == ["behind", "ahead", "refused"]
    assert [c.chosen for c in one.candidates] == [False, True, False]
    gains = [c.score and c.score.gain for c in one.candidates]
    assert gains == [pytest.approx(-1 / 30, abs=1e-6), pytest.approx(0.5 / 3, abs=1e-6), None]
    assert (one.judge, one.rule) == ("three tasks", ONE_ERROR)
    assert found.to_json()["screening"]["candidates"][2]["made"]["problem"] == "lint: line 1: no"


@pytest.mark.parametrize("found", [UNSURE, BEHIND, {"equal": cells(0.1, 0.2, 0.0)}])
def test_nothing_is_proposed_that_is_not_ahead_by_its_error(
    view: View, found: Mapping[str, list[dict[str, Any]]]
) -> None:
    one = decided(view, {**NONE, **found})
    assert (one.name, one.admitted, one.attempts) == ("", False, ())
    assert one.summary.startswith(f"nothing of 1 candidates: the best, {next(iter(found))}, is not")
    assert not any(c.chosen for c in screening(one).candidates)


def test_where_no_gate_let_any_in_nothing_is_measured(view: View) -> None:
    by = screening_of(Writes(made("one", admission=REFUSED)), 1, suite="there is none")
    [proposal] = by.propose(view, Brief())
    assert proposal.hypothesis == "nothing of 1 candidates: no gate let any of them in"


def test_in_the_control_gains_change_places_and_nothing_else_does(view: View) -> None:
    every = {**NONE, **AHEAD, **BEHIND}
    chosen, scores = set(), set()
    for seed in range(12):
        mine = replace(view, seed=seed)
        one = decided(mine, every, shuffled=True)
        assert one == decided(mine, every, shuffled=True)
        assert screening(one).shuffled
        first, second = (c.score for c in screening(one).candidates)
        assert first is not None
        assert second is not None
        assert (first.taken, second.taken) == (0.5, 0.0)
        chosen.add(one.name)
        scores.add((first.gain, second.gain))
    assert chosen == {"ahead", "behind", ""}
    assert len(scores) == 6


def test_each_is_told_of_those_before_it_and_has_its_own_place_in_the_journal(view: View) -> None:
    inventor = Writes(*(made(name, admission=REFUSED) for name in ("x", "y", "z")))
    kept: list[str] = []

    def recall(
        what: str, request: Mapping[str, Any], produce: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        kept.append(what)
        return produce()

    screening_of(inventor, 3).propose(replace(view, recall=recall), Brief())
    assert inventor.told == [[], ["x"], ["x", "y"]]
    assert kept == [f"candidate/{n}/admission/0" for n in range(3)]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"inner": "level1"}, "inner=level1 asks a model"),
        ({"suite": "nowhere"}, "suite=nowhere: expected a file"),
        (
            {"inner_settings": ["baseline.proposer.chan=2"]},
            "did you mean baseline.proposer.changes",
        ),
        ({"rule": "always"}, "rule='always': expected one of above one standard error"),
    ],
)
def test_what_cannot_judge_is_refused_before_anything_runs(
    settings: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        screening_of(Writes(), 1, **settings).ready()


@pytest.fixture(scope="module")
def texts(view: View) -> Sequence[Invention]:
    """A mechanism that helps and one that harms, as the gates found them."""
    found = [admit(text, view, UNSAFE) for text in (HARMFUL, GOOD)]
    return [made(a.name, t, a) for a, t in zip(found, (HARMFUL, GOOD), strict=True)]


def searched(journal: Journal, texts: Sequence[Invention]) -> tuple[Loop, Loop]:
    """Two sessions of level 2 over a search of trap."""
    steps: list[dict[str, object]] = [{"WEIGHT_DECAY": 0.2 - n / 100} for n in range(1, 12)]
    inner = Loop(
        task=Surrogate("trap"),
        proposer=Listed(*steps),
        acceptance=Always(),
        trials=12,
        journal=journal,
    )
    outer = Loop(
        task=Segment(inner, 8, Attaching(UNSAFE)),
        proposer=screening_of(Writes(*texts), 2),
        acceptance=Always(),
        level=2,
        journal=journal,
    )
    outer.run()
    inner.pipeline.close()
    return inner, outer


def test_scores_are_measured_once_and_read_from_the_journal_afterwards(
    texts: Sequence[Invention], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "j.jsonl"
    with Journal(path) as journal:
        inner, outer = searched(journal, texts)
    found = outer.trace[1].proposal.mechanism
    assert found is not None
    assert [m.name for m in inner.pipeline.known] == ["steps_on"] == [found.name]
    harmful, good = (c.score for c in screening(found).candidates)
    assert harmful is not None
    assert good is not None
    assert harmful.gain < good.gain
    assert {*good.by_task} == {"trap", "interaction"}
    assert good.taken > 0.5
    told = account.before(outer.view())
    assert f"- stands_still: stands_still: stands_still acts. -> {harmful}\n" in told
    assert f"-> {good} (text 1 passed every gate; keep)\n" in told
    assert "scored on 2 tasks of classics, 2 seeds each, searches of 12 trials for which" in told
    assert account.taken(outer.view()) == ["steps_on", "stands_still"]

    def never(*_: object) -> None:
        pytest.fail("a score was measured again")

    monkeypatch.setattr(screened, "Measuring", never)
    whole = path.read_bytes()
    with Journal(path) as journal:
        _, again = searched(journal, texts)
    assert path.read_bytes() == whole
    assert [*again.trace] == [*outer.trace]
    [entry] = [e for e in read(path) if e["key"] == "L2/T1/screening"]
    assert len(entry["data"]["cells"]) == 3

"""A made-up search of mechanisms, as a tracker is told of it: four candidates on three tasks."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from bilevel.invention import Admission, Attempt, GateVerdict, Invention
from bilevel.trace import Decision, FailureKind, Objective, Outcome, Proposal, Trial
from bilevel.tracking import MlflowTracker, TrialRecord
from tests.tracking.studies import info

GAIN = Objective("gain", "maximize")
ALONE = {"trap": 0.1, "plateau": 0.2, "sink": 0.3}
BETTER = {"trap": 0.3, "plateau": 0.3, "sink": 0.3}
BEST = {"trap": 0.7, "plateau": 0.5, "sink": 0.2}
END = {
    "confirmed_delta": 0.25,
    "confirmed_n": 2.0,
    "seed_reaches": 1.0,
    "confirmed/baseline/0": 0.1,
    "confirmed/best/0": 0.3,
    "confirmed/baseline/1": 0.2,
    "confirmed/best/1": 0.5,
    "confirmed/baseline/2": 0.9,  # its counterpart has no value
    "held_out_delta": 0.0625,
    "held_out/baseline/0": 0.125,
    "held_out/best/0": 0.1875,
    "held_out/baseline/gain/noisy": 0.0,
    "held_out/best/gain/noisy": 0.125,
}


def run_discovery(
    tracker: MlflowTracker, *, kept: bool = True, end: str = "done", seed: int = 1
) -> None:
    """The baseline, two that were kept, one stopped early, one that no gate let in; with `kept`
    false, all are discarded."""
    tracker.start(info("discover", seed, task="landscapes", objective=GAIN))
    for one in _trials():
        verdict = Decision.DISCARD if one.kept and one.number and not kept else one.decision
        parent = one.parent if kept or one.parent is None else 0
        trial = replace(one, decision=verdict, parent=parent)
        tracker.trial(TrialRecord(level=1, trial=trial, baseline=0.2, best=0.2))
    if end:
        tracker.end(end, END)


def _trials() -> Iterator[Trial]:
    yield _trial(0, None, "", _measured(ALONE, cells=9), Decision.KEEP)
    yield _trial(1, 0, "steps_on", _measured(BETTER, 18.0, cells=9), Decision.KEEP)
    yield _trial(2, 1, "idles", _measured(ALONE, cells=3, stopped=True), Decision.DISCARD)
    refused = Outcome.failed(FailureKind.INVALID_PROPOSAL, "not admitted: lint: no os")
    yield _trial(3, 1, "imports_os", refused, Decision.FAIL, "lint: os may not be imported")
    yield _trial(4, 1, "leaps", _measured(BEST, 4.5, cells=9), Decision.KEEP)


def _measured(
    gains: Mapping[str, float], hook_s: float = 0.0, *, cells: int, stopped: bool = False
) -> Outcome:
    metrics = {
        "stopped_early": float(stopped),
        "cells": float(cells),
        "gain_se": 0.0123,
        "taken": 0.37 if hook_s else 0.0,
        **{f"gain/{task}": gain for task, gain in gains.items()},
    }
    return Outcome(sum(gains.values()) / 3, metrics=metrics, clock={"hook_s": hook_s})


def _trial(
    number: int, parent: int | None, name: str, outcome: Outcome, decision: Decision,
    problem: str = "",
) -> Trial:  # fmt: skip
    verdict = GateVerdict("lint", not problem, problem)
    source = f"class {name.title()}(Mechanism):\n    ...  # <script>\n"
    attempts = (Attempt("first = 1\n", Admission(False, ())),
                Attempt(source, Admission(not problem, (verdict,), name)))  # fmt: skip
    made = Invention(name, "code", attempts=attempts, problem=problem) if name else None
    proposal = Proposal({}, f"idea of {name}", "discoverer", mechanism=made)
    return Trial(number, parent, proposal, {"MECHANISM": name}, 7, outcome, decision)

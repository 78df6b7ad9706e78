"""A made-up session of level 2, as a tracker is told of it."""

from dataclasses import replace

from bilevel.invention import (
    Admission,
    Attempt,
    Candidate,
    GateVerdict,
    Invention,
    Score,
    Screening,
)
from bilevel.tracking import TrialRecord
from tests.tracking.studies import outer

SOURCE = '''"""Annealing."""


class Annealing(Mechanism):
    name = "annealing"

    def accept(self, view, trial):
        return None  # <script>alert("no")</script>
'''


def session(name: str = "annealing", in_prompt: bool = False, source: str = SOURCE) -> Invention:
    """Two texts: one refused by the lint, one admitted."""
    parse, fine = GateVerdict("parse", True, "it is Python"), GateVerdict("lint", True, "fine")
    lint = GateVerdict("lint", False, "os may not be imported")
    first = Attempt("import os\n", Admission(False, (lint,)))
    second = Attempt(source, Admission(True, (parse, fine), name, "code", ("accept",)))
    return Invention(
        name=name,
        carrier="code",
        domain="statistical physics",
        domain_in_prompt=in_prompt,
        bottleneck="The search repeats itself.",
        behaviour="Keeps a worse trial now and then.",
        attempts=(first, second),
    )


def invention(number: int = 1, variant: int = 0, in_prompt: bool = False) -> TrialRecord:
    """`variant` makes its source differ from others'."""
    made = session(in_prompt=in_prompt, source=f"{SOURCE}# {variant}\n")
    record = outer(number)
    proposal = replace(record.trial.proposal, origin="inventor", mechanism=made)
    return replace(record, trial=replace(record.trial, proposal=proposal))


def screened(number: int = 2, chosen: bool = True) -> TrialRecord:
    """A session with two candidates that were scored, the first of which was attached or not, and
    one that no gate let in."""
    names = ("annealing", "second")
    scores = (
        Score(0.25, 0.1, {"a": 0.15, "b": 0.35}, taken=0.5),
        Score(-0.125, None, {"a": -0.125}),
    )
    refused = Invention(name="third", problem="lint: os may not be imported")
    candidates = (
        *(
            Candidate(
                session(name, source=f"{SOURCE}# {name}\n"), score, chosen and name == names[0]
            )
            for name, score in zip(names, scores, strict=True)
        ),
        Candidate(refused),
    )
    screening = Screening(candidates, "two tasks", "above one standard error")
    nothing = Invention(problem="the best, annealing, is not above one standard error")
    made = replace(session() if chosen else nothing, screening=screening)
    record = invention(number)
    proposal = replace(record.trial.proposal, mechanism=made)
    return replace(record, trial=replace(record.trial, proposal=proposal))

"""A made-up session of level 2, as a tracker is told of it."""

from dataclasses import replace
from typing import Any

from bilevel.tracking import TrialRecord
from tests.tracking.studies import outer

SOURCE = '''"""Annealing."""


class Annealing(Mechanism):
    name = "annealing"

    def accept(self, view, trial):
        return None  # <script>alert("no")</script>
'''


def verdict(passed: bool, gate: str, reason: str) -> dict[str, Any]:
    return {"gate": gate, "passed": passed, "reason": reason, "seconds": 0.1}


def session(name: str = "annealing", in_prompt: bool = False) -> dict[str, Any]:
    """Two texts: one refused by the lint, one admitted."""

    def attempt(source: str, *verdicts: dict[str, Any]) -> dict[str, Any]:
        return {"source": source, "admission": {"verdicts": list(verdicts)}}

    return {
        "name": name,
        "carrier": "code",
        "hooks": ["accept"],
        "admitted": True,
        "problem": "",
        "domain": "statistical physics",
        "domain_in_prompt": in_prompt,
        "bottleneck": "The search repeats itself.",
        "behaviour": "Keeps a worse trial now and then.",
        "source": SOURCE,
        "attempts": [
            attempt("import os\n", verdict(False, "lint", "os may not be imported")),
            attempt(SOURCE, verdict(True, "parse", "it is Python"), verdict(True, "lint", "fine")),
        ],
    }


def invention(number: int = 1, variant: int = 0, in_prompt: bool = False) -> TrialRecord:
    """`variant` makes its source differ from others'."""
    made = session(in_prompt=in_prompt)
    made["source"] += f"# {variant}\n"
    record = outer(number)
    proposal = replace(record.trial.proposal, origin="inventor", mechanism=made)
    return replace(record, trial=replace(record.trial, proposal=proposal))

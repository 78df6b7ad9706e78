"""What a mechanism can put into a search through its answers: judged by the journal on the disk,
the clock and the loop that goes on. Each of these once ended a search, or passed for another's."""

import json
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bilevel.admission.asking import Double
from bilevel.answers import MAX_BRIEF_CHARS, MAX_CANDIDATES
from bilevel.confined import MAX_RENDERS, confine
from bilevel.journal import Journal, read
from bilevel.loop import Loop
from bilevel.pipeline import Pipeline
from bilevel.sandbox.hosted import Limits
from tests.helpers import Listed, Parabola, loop

HEAD = """
from dataclasses import replace
from types import MappingProxyType
from bilevel.mechanism import Mechanism
from bilevel.trace import Proposal
from bilevel.view import Brief

class Mine(Mechanism):
    name = "mine"
"""
TRIALS = 4
CHANGES: list[dict[str, object]] = [{"X": value} for value in (0.5, 1.0, 1.5, 2.5)]


@contextmanager
def searched(tmp_path: Path, *body: str) -> Iterator[Loop]:
    """A search to its end with this mechanism in a worker, and its journal on the disk."""
    source = HEAD + "".join(f"    {line}\n" for line in body)
    with Journal(tmp_path / "journal.jsonl") as journal, confine(source, limits=Limits()) as made:
        pipeline = Pipeline([made], journal=journal)
        ran = Loop(
            task=Parabola(),
            proposer=Listed(*CHANGES),
            acceptance=loop()._acceptance,
            trials=TRIALS,
            pipeline=pipeline,
            journal=journal,
            asker=Double(1).asker,
        )
        ran.run()
        yield ran


def proposals(tmp_path: Path) -> list[dict[str, object]]:
    entries = read(tmp_path / "journal.jsonl")
    return [entry["data"]["proposal"] for entry in entries if entry["kind"] == "trial"]


def errors(ran: Loop) -> set[str]:
    return {row.error for row in ran.pipeline.ledger.rows() if row.error}


SESSION = "{'name': 'x', 'admitted': True, 'source': 'x', 'attempts': [], 'hooks': ['propose']}"


@pytest.mark.parametrize("forged", ["7", SESSION, "{'name': 3}", "[1]", "MappingProxyType({})"])
def test_nobody_but_the_host_says_what_a_session_came_to(forged: str, tmp_path: Path) -> None:
    lines = (
        f"def propose(self, view): return [Proposal({{'X': 1.25}}, mechanism={forged})]",
        f"def review(self, view, given): return [replace(c, mechanism={forged}) for c in given]",
    )
    with searched(tmp_path, *lines) as ran:
        assert len(ran.trace) == 1 + TRIALS
        assert not any(trial.proposal.mechanism for trial in ran.trace)
    assert not any("mechanism" in proposal for proposal in proposals(tmp_path))


def test_a_relabelled_candidate_stays_whose_it_was(tmp_path: Path) -> None:
    line = (
        "def review(self, view, given): return [replace(c, origin='mine', hypothesis='mine', "
        "prompt='x') for c in given]"
    )
    with searched(tmp_path, line) as ran:
        assert str(ran.pipeline.liveness("mine", 99)) == "dead"
        assert {trial.caused_by for trial in ran.trace} == {()}
    assert {p["origin"] for p in proposals(tmp_path)[1:]} == {"listed"}
    assert "mine" not in {p["hypothesis"] for p in proposals(tmp_path)}


def test_an_edit_keeps_its_origin_and_what_is_new_is_its_makers(tmp_path: Path) -> None:
    lines = (
        "def review(self, view, given):",
        "    if view.trial % 2:",
        "        return [replace(c, changes={'X': 1.75 + view.trial / 64}) for c in given]",
        "    return [Proposal({'X': 1.25 + view.trial / 64}, origin='llm', prompt='p')]",
    )
    with searched(tmp_path, *lines) as ran:
        assert all(trial.caused_by == ("mine",) for trial in ran.trace[1:])
    made = [(p["origin"], p["prompt"]) for p in proposals(tmp_path)[1:]]
    assert made == [("listed", ""), ("mine", "")] * 2


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            "def propose(self, view): return [Proposal({'X': 'y' * (7 << 20)})]",
            "propose has 7,340,",
        ),
        (
            "def propose(self, view): return [Proposal({'X': 'y' * 300000})]",
            "characters in a candidate's changes; at most 262,144 are taken",
        ),
        (
            "def propose(self, view): return [Proposal({'X': 1}, 'h' * 5000)]",
            "propose: 5,000 characters in a hypothesis; at most 4,000 are taken",
        ),
        (
            "def review(self, view, given): return [c.reject('r' * 5000) for c in given]",
            "review: 5,000 characters in a reason of rejection; at most 4,000 are taken",
        ),
        (
            "def propose(self, view): return [Proposal({'X': i}) for i in range(4000)]",
            f"propose: {MAX_CANDIDATES + 1:,} candidates; at most {MAX_CANDIDATES:,} are taken",
        ),
        (
            "def review(self, view, given): return [Proposal({'X': i}) for i in range(4000)]",
            f"review: {MAX_CANDIDATES + 1:,} candidates; at most {MAX_CANDIDATES:,} are taken",
        ),
        (
            "def propose(self, view): return [Proposal({'X': i}) for i in range(24000)]",
            "propose has 2,",
        ),
        (
            "def brief(self, view, brief): return brief.add('b' * 450000)",
            f"brief: 450,000 more characters of text; at most {MAX_BRIEF_CHARS:,} are taken",
        ),
        (
            "def brief(self, view, brief): return Brief([*brief.trials] * 5000, brief.text)",
            "trials; at most",
        ),
        (
            "def propose(self, view): return [view.render(dict(view.base)) for _ in range(9999)]",
            f"view.render: at most {MAX_RENDERS} times in one call",
        ),
        (
            "def propose(self, view): view.ask('p' * 200000, {'type': 'object'})",
            "view.ask: prompt has 200,000 characters; at most 100,000 are sent",
        ),
        ("def propose(self, view): raise ValueError('e' * (5 << 20))", "ValueError: eeee"),
        ("def propose(self, view): return [Proposal({'X': float('inf')})]", "has to be finite"),
    ],
)
def test_what_is_too_much_is_the_mechanisms_error_and_is_not_kept(
    line: str, words: str, tmp_path: Path
) -> None:
    started = time.monotonic()
    with searched(tmp_path, line) as ran:
        assert len(ran.trace) == 1 + TRIALS
        assert any(words in error for error in errors(ran)), errors(ran)
        assert not ran.pipeline.attached  # three errors, and it was taken off
    assert (tmp_path / "journal.jsonl").stat().st_size < 100_000
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(
    "schema",
    [
        "{'type': 'string', 'minLength': 3 * 10**9}",
        "{'type': 'array', 'minItems': 4 * 10**7, 'items': {'type': 'integer'}}",
        "{'type': 'array', 'minItems': 900, 'items': {'type': 'array', 'minItems': 900}}",
        "{'anyOf': [{'type': 'array', 'minItems': 10**8}]}",
    ],
)
def test_a_schema_is_measured_before_anything_is_built_from_it(schema: str, tmp_path: Path) -> None:
    lines = (
        "def brief(self, view, brief):",
        f"    schema = {{'type': 'object', 'properties': {{'a': {schema}}}, 'required': ['a']}}",
        "    return brief.add(view.ask('?', schema).problem)",
    )
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.monotonic()
    with searched(tmp_path, *lines) as ran:
        assert "lower its minLength or minItems" in ran._proposer.briefs[-1].text  # type: ignore[attr-defined]
    assert time.monotonic() - started < 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 200_000


def test_what_a_journal_holds_of_forged_words_is_read_again(tmp_path: Path) -> None:
    line = "def propose(self, view): return [Proposal({'X': MappingProxyType({'a': (1, 2)})})]"
    with searched(tmp_path, line) as ran:
        tried = len(ran.trace)
    assert tried == 1 + TRIALS
    for text in (tmp_path / "journal.jsonl").read_text().splitlines():
        json.loads(text)

"""What a mechanism can put into a search through its answers: judged by the journal on the disk,
the clock and the loop that goes on. Each of these once ended a search, or passed for another's."""

import json
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from bilevel.admission.asking import Double
from bilevel.journal import Journal, read
from bilevel.llm.session import Session
from bilevel.loop.hook_answers import MAX_BRIEF_CHARS, MAX_CANDIDATES
from bilevel.loop.loop import MAX_REASONS_CHARS, Loop
from bilevel.loop.pipeline import Pipeline
from bilevel.sandbox.confined_mechanism import MAX_RENDERS, confine
from bilevel.sandbox.worker_handle import Limits
from tests.helpers import Listed, Parabola, loop
from tests.llm.support import Canned, reply, session

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


def written(*body: str, name: str = "mine") -> str:
    source = HEAD + "".join(f"    {line}\n" for line in body)
    return source.replace('"mine"', repr(name))


@contextmanager
def searching(tmp_path: Path, *sources: str, trials: int = TRIALS) -> Iterator[Loop]:
    """A search to its end with these mechanisms in workers, and its journal on the disk."""
    with ExitStack() as held:
        journal = held.enter_context(Journal(tmp_path / "journal.jsonl"))
        made = [held.enter_context(confine(source, limits=Limits())) for source in sources]
        ran = Loop(
            task=Parabola(),
            proposer=Listed(*CHANGES),
            acceptance=loop()._acceptance,
            trials=trials,
            pipeline=Pipeline(made, journal=journal),
            journal=journal,
            asker=Double(1).asker,
        )
        ran.run()
        yield ran


@contextmanager
def searched(tmp_path: Path, *body: str) -> Iterator[Loop]:
    """The same with one mechanism, by its hooks."""
    with searching(tmp_path, written(*body)) as ran:
        yield ran


App = Callable[[dict[str, Any]], dict[str, Any]]


def asking(tmp_path: Path, source: str, app: App, trials: int) -> tuple[Loop, Session]:
    """A search with a model, and its conversation."""
    with (
        Journal(tmp_path / "journal.jsonl") as journal,
        confine(source, limits=Limits()) as made,
        session(app, journal) as held,
    ):
        ran = Loop(
            task=Parabola(),
            proposer=Listed(*CHANGES),
            acceptance=loop()._acceptance,
            trials=trials,
            pipeline=Pipeline([made], journal=journal),
            journal=journal,
            asker=held.asker,
        )
        ran.run()
        return ran, held


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
            f"review: {MAX_CANDIDATES + 2:,} candidates; at most {MAX_CANDIDATES + 1:,} are taken",
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


IDLE = (
    "def review(self, view, given): return given",
    "def observe(self, view, trial): self.seen = len(view.trace)",
)
DEEP = "__import__('functools').reduce(lambda value, _: [value], range(19), 1)"


@pytest.mark.parametrize("value", [DEEP, "10 ** 400", "{'a': [{'b': 10 ** 330}]}"])
@pytest.mark.parametrize("first", [True, False])
def test_a_candidate_that_cannot_be_shown_is_its_makers_error_and_nobody_elses(
    value: str, first: bool, tmp_path: Path
) -> None:
    changes = f"{{'X': {value}}}"
    lines = (
        f"def propose(self, view): return [Proposal({changes})]",
        f"def review(self, view, given): return [replace(c, changes={changes}) for c in given]",
    )
    sources = [written(*lines), written(*IDLE, name="innocent")]
    with searching(tmp_path, *(sources if first else sources[::-1])) as ran:
        assert [mechanism.name for mechanism in ran.pipeline.attached] == ["innocent"]
        assert not ran.pipeline.ledger.errors("innocent")


def test_a_worker_that_begins_again_is_told_a_trace_of_long_candidates(tmp_path: Path) -> None:
    long = "{'X': 'y' * 250000 + str(view.trial)}"
    dying = (
        "def observe(self, view, trial):",
        "    import os",
        "    self.seen = len(view.trace) if view.trial != 38 else os._exit(1)",
    )
    line = f"def review(self, view, given): return [replace(c, changes={long}) for c in given]"
    sources = [written(line), written(*dying, name="innocent")]
    with searching(tmp_path, *sources, trials=42) as ran:
        assert ran.pipeline.ledger.errors("innocent") == 1
        assert len(ran.pipeline.attached) == 2


def test_thousands_of_names_make_no_longer_failure_than_a_few(tmp_path: Path) -> None:
    names = "{f'k{i}': 1 for i in range(16000)} | {'n' * 9000: 1}"
    line = f"def review(self, view, given): return [replace(c, changes={names}) for c in given]"
    with searched(tmp_path, line) as ran:
        failures = [trial.outcome.failure for trial in ran.trace[1:]]
    assert all(f is not None and len(f.detail) < 3_000 for f in failures), failures


@pytest.mark.parametrize(
    "copy",
    [
        "{k: str(v) for k, v in c.changes.items()}",  # a numeral for a number
        "{**c.changes, 'BATCH': view.base['BATCH']}",  # and what changes nothing
    ],
)
def test_the_same_written_otherwise_is_nobodys_doing(copy: str, tmp_path: Path) -> None:
    doer = "def propose(self, view): return [Proposal({'X': 2 + view.trial / 8}, 'doer')]"
    lines = (
        "def review(self, view, given):",
        f"    copies = [Proposal({copy}, 'mine') for c in given for _ in range(3)]",
        "    return [c.reject('no') for c in given] + copies if view.trial % 3 else copies",
    )
    with searching(tmp_path, written(doer, name="doer"), written(*lines, name="thief")) as ran:
        assert str(ran.pipeline.liveness("thief", 99)) == "dead"
        assert str(ran.pipeline.liveness("doer", 99)) == "live"
        assert [t.caused_by for t in ran.trace[1:]] == [("doer",), ()] * 2
    assert [p["origin"] for p in proposals(tmp_path)[1:]] == ["doer", "listed"] * 2


REFUSING = (
    "def refuse(self, value): raise ValueError('no')",
    "def brief(self, view, brief):",
    "    schema = {'type': 'object', 'required': ['x']}",
)
FORGED = "    view.for_('propose/0').ask('?', schema, check=self.refuse); return brief"
OWN = "    view.ask('?', schema, check=self.refuse); return brief"


@pytest.mark.parametrize(("name", "line"), [("mine", FORGED), ("propose", OWN)])
def test_a_mechanisms_questions_are_no_proposers(name: str, line: str, tmp_path: Path) -> None:
    trials = 12  # more than a proposer may have without a usable reply
    ran, held = asking(tmp_path, written(*REFUSING, line, name=name), Canned(reply(x=1)), trials)
    assert len(ran.trace) == 1 + trials
    assert {call.purpose.startswith(f"{name}/brief") for call in held.ledger.calls} == {True}


@pytest.mark.parametrize("check", ["1 / 0", "view.ask('!', {})", "object()"])
def test_a_reply_is_charged_whatever_its_check_does(check: str, tmp_path: Path) -> None:
    line = f"def brief(self, view, brief): view.ask('?', {{}}, check=lambda value: {check})"
    ran, held = asking(tmp_path, written(line), Canned(reply(x=1)), TRIALS)
    assert not ran.pipeline.attached
    replies = [e for e in read(tmp_path / "journal.jsonl") if e["kind"] == "reply"]
    assert held.ledger.total.calls == len(replies) == 3


def test_what_a_terminal_would_obey_in_a_purpose_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = FORGED.replace("propose/0", "\\x1b[2J\\n0")
    asking(tmp_path, written(*REFUSING, line), Canned(reply(x=1)), TRIALS)
    told = capsys.readouterr().err
    assert "\\x1b[2J\\n0 cannot be used" in told
    assert "\x1b" not in told


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ("{'type': [{'a': i} for i in range(3300)]}", "type lists texts only"),
        ("{'required': [{'a': i} for i in range(3300)]}", "required lists texts only"),
        ("{'properties': {'a': {'minItems': 1e308}}}", "minItems=1e+308: give a whole number"),
        ("{'properties': {'a': {'minLength': 10 ** 390}}}", "give a whole number of at most"),
        ("{'properties': {'a': True}}", "true stands where a schema is expected"),
    ],
)
def test_a_schema_of_odd_forms_is_refused_at_once(schema: str, words: str, tmp_path: Path) -> None:
    started = time.monotonic()
    with searched(
        tmp_path, f"def brief(self, view, brief): return brief.add(view.ask('?', {schema}).problem)"
    ) as ran:
        assert words in ran._proposer.briefs[-1].text  # type: ignore[attr-defined]
        assert not errors(ran)
    assert time.monotonic() - started < 10  # a long comparison once took 5 s a question


def test_who_drops_everything_does_not_silence_the_proposer(tmp_path: Path) -> None:
    lines = (
        "def propose(self, view): return [Proposal({'X': i / 1000}) for i in range(200)]",
        "def review(self, view, given): return [c.reject('r' * 3900) for c in given]",
    )
    with searched(tmp_path, *lines) as ran:
        texts = [brief.text for brief in ran._proposer.briefs]  # type: ignore[attr-defined]
    assert max(map(len, texts)) < MAX_REASONS_CHARS + 200
    assert any("- and " in text for text in texts)


def test_an_exception_that_cannot_be_told_keeps_the_worker(tmp_path: Path) -> None:
    lines = (
        "class Odd(Exception):",
        "    def __str__(self): return 1 / 0",
        "def propose(self, view): raise self.Odd(chr(0xD800))",
    )
    with searched(tmp_path, *lines) as ran:
        assert errors(ran) == {
            "MechanismRaised: Odd: (its text cannot be told: ZeroDivisionError) (line 12)"
        }


def test_a_question_too_long_for_the_model_is_no_end_of_a_search(tmp_path: Path) -> None:
    answered = Canned(reply(x=1))

    def short(request: dict[str, Any]) -> dict[str, Any]:
        if len(str(request["messages"])) > 8_000:
            raise ValueError("the maximum context length is 2048 tokens")
        return answered(request)

    line = "def brief(self, view, brief): return brief.add(view.ask('p' * 50000, {}).problem)"
    ran, _ = asking(tmp_path, written(line), short, TRIALS)
    assert len(ran.trace) == 1 + TRIALS
    assert "the server refuses the question" in ran._proposer.briefs[-1].text  # type: ignore[attr-defined]
    size = (tmp_path / "journal.jsonl").stat().st_size
    again, _ = asking(tmp_path, written(line), answered, TRIALS)  # which would answer it now
    assert (tmp_path / "journal.jsonl").stat().st_size == size
    assert [trial.value for trial in again.trace] == [trial.value for trial in ran.trace]


@pytest.mark.parametrize(
    "much",
    [
        "[Proposal({'X': 'y' * 240000 + str(i)}) for i in range(4)]",
        "[Proposal({'X': i / 1000}) for i in range(256)]",
    ],
)
def test_much_that_others_proposed_is_no_reviewers_error(much: str, tmp_path: Path) -> None:
    line = f"def propose(self, view): return {much}"
    proposing = [written(line, name=f"long_{number}") for number in range(2)]
    with searching(tmp_path, *proposing, written(*IDLE, name="innocent")) as ran:
        assert not ran.pipeline.ledger.errors("innocent")

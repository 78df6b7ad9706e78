"""Hooks that fail, lie or do nothing: recorded, stepped over, and never silent."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bilevel.errors import BudgetExhausted, JournalError
from bilevel.journal import Data, Journal, projection, read
from bilevel.llm.ledger import Call
from bilevel.loop.activations import Effect, Liveness
from bilevel.loop.hook_calls import STOPPED
from bilevel.loop.loop import Loop
from bilevel.loop.pipeline import Pipeline
from bilevel.mechanism import HOOKS, Mechanism
from bilevel.sandbox.confined_mechanism import proxy
from bilevel.sandbox.worker_handle import Limits
from bilevel.trace import Proposal, Trial
from bilevel.view import Brief, View
from tests.helpers import Listed, loop
from tests.llm.support import Canned, session

FIVE: list[dict[str, object]] = [{"X": x} for x in (4.0, 3.0, 2.0, 1.0, 0.0)]


def failing(hook: str, error: BaseException) -> Mechanism:
    def raises(self: Mechanism, *args: Any) -> Any:
        raise error

    made = type("Failing", (Mechanism,), {"name": "failing", hook: raises})()
    assert isinstance(made, Mechanism)
    return made


@pytest.mark.parametrize("hook", HOOKS)
def test_a_failing_hook_is_recorded_and_after_three_failures_detached(hook: str) -> None:
    search = loop(*FIVE, mechanisms=[failing(hook, ZeroDivisionError("oh"))])
    search.run()
    assert [trial.value for trial in search.trace[1:]] == [22.0, 15.0, 10.0, 7.0, 6.0]
    rows = search.pipeline.ledger.rows("failing")
    assert [row.error for row in rows] == ["ZeroDivisionError: oh"] * 3
    assert {row.effect for row in rows} == {Effect.ERROR}
    assert search.pipeline.attached == ()
    assert [m.name for m in search.pipeline.known] == ["failing"]


@pytest.mark.parametrize(
    ("hook", "answer"),
    [
        ("parent", 99),
        ("parent", "the best"),
        ("brief", "read this"),
        ("propose", 7),
        ("propose", [{"X": 1}]),
        ("review", None),
        ("review", [3]),
        ("parent", 0.0),
        ("propose", [Proposal({"X": float("nan")})]),
        ("propose", [Proposal({"X": {1, 2}})]),
        ("accept", "yes"),
    ],
)
def test_an_answer_of_the_wrong_kind_is_an_error_of_its_mechanism(hook: str, answer: Any) -> None:
    made = type("Odd", (Mechanism,), {"name": "odd", hook: lambda self, *args: answer})
    search = loop({"X": 4.0}, mechanisms=[made()])
    search.run()
    assert search.trace[1].value == 22.0
    assert [row.effect for row in search.pipeline.ledger.rows("odd")] == [Effect.ERROR]


def test_a_spent_budget_ends_the_search_even_inside_a_hook() -> None:
    with pytest.raises(BudgetExhausted):
        loop({"X": 1.0}, mechanisms=[failing("brief", BudgetExhausted("no calls left"))]).run()


def test_a_hook_may_be_a_generator() -> None:
    class Lazy(Mechanism):
        name = "lazy"

        def review(self, view: View, candidates: Sequence[Proposal]) -> Any:
            yield from candidates

    search = loop(*FIVE, mechanisms=[Lazy()])
    search.run()
    assert [trial.value for trial in search.trace[1:]] == [22.0, 15.0, 10.0, 7.0, 6.0]
    assert {row.effect for row in search.pipeline.ledger.rows("lazy")} == {Effect.NONE}


def test_the_text_of_an_error_is_not_compared_between_journals() -> None:
    rows = []
    for text in ("at 0x7f01", "at 0x7f02"):
        search = loop({"X": 4.0}, mechanisms=[failing("observe", ValueError(text))])
        search.run()
        rows.append([projection(row.to_json()) for row in search.pipeline.ledger.rows()])
    assert rows[0] == rows[1]


class Quiet(Mechanism):
    name = "quiet"

    def observe(self, view: View, trial: Trial) -> None:
        return


class Writer(Mechanism):
    name = "writer"

    def brief(self, view: View, brief: Brief) -> Brief:
        return brief.add("Try BATCH.")


class Second(Mechanism):
    name = "second"

    def review(self, view: View, candidates: Sequence[Proposal]) -> Sequence[Proposal]:
        return [Proposal({**c.changes, "BATCH": 8}, origin=c.origin) for c in candidates]


class Agrees(Mechanism):
    name = "agrees"

    def accept(self, view: View, trial: Trial) -> bool | None:
        return trial.value is not None and trial.value < (view.incumbent.value or 0)  # type: ignore[union-attr]


def test_liveness_is_what_was_changed_and_not_what_was_called() -> None:
    search = loop(*FIVE, mechanisms=[Quiet(), Writer(), Second(), Agrees()])
    search.run()
    found = {m.name: search.pipeline.liveness(m.name, trial=10) for m in search.pipeline.known}
    assert found == {
        "quiet": Liveness.DEAD,
        "writer": Liveness.PROMPTED,
        "second": Liveness.LIVE,
        "agrees": Liveness.DEAD,
    }
    assert search.pipeline.liveness("quiet", trial=5) is Liveness.PROBATION
    edited = search.pipeline.ledger.rows("second")[0]
    assert (edited.did, edited.without) == ("{'X': 4.0, 'BATCH': 8}", "{'X': 4.0}")


def test_probation_counts_from_attaching() -> None:
    search = loop(*FIVE, *FIVE)
    search.run(6)
    search.pipeline.attach(Quiet(), trial=7)
    search.run()
    assert search.pipeline.liveness("quiet", trial=11) is Liveness.PROBATION
    assert search.pipeline.liveness("quiet", trial=17) is Liveness.DEAD


SLOW = """
import itertools

from bilevel.mechanism import Mechanism


class Slow(Mechanism):
    name = "slow"

    def __init__(self):
        self.seen = 0

    def {hook}(self, view, *given):
        self.seen += 1
        if view.trial == 5:
            {body}
        {rest}
"""
ENDLESS = "for _ in itertools.count(): pass"
NOTING = "return given[0].add(f'seen {self.seen}')"
ASK_FIRST = """def check(value):
                if "seen" not in value:
                    raise ValueError("say what you have seen")
                return value
            view.ask("What have you seen?", {"type": "object"}, check=check)
            for _ in itertools.count(): pass"""
ASK_ENDLESSLY = """def check(value):
                for _ in itertools.count(): pass
            view.ask("What have you seen?", {"type": "object"}, check=check)"""
SEVEN: list[dict[str, object]] = [{"X": x} for x in (4.0, 3.0, 2.0, 1.0, 0.5, 0.2, 0.0)]


def slow(body: str, call_s: float = 0.3, hook: str = "brief", rest: str = NOTING) -> Mechanism:
    text = SLOW.format(hook=hook, body=body, rest=rest)
    return proxy(text, "slow", "code", [hook], Limits("unsafe", call_s=call_s))


def searched(path: Path, mechanism: Mechanism, app: Any = None) -> tuple[Loop, list[Call]]:
    """The loop with this mechanism, and what its model was asked."""
    with Journal(path) as journal, session(app or Canned("{}"), journal) as asked:
        pipeline = Pipeline([mechanism], journal=journal)
        made = loop(*SEVEN, pipeline=pipeline, journal=journal, asker=asked.asker)
        try:
            made.run()
        finally:
            pipeline.close()
        assert journal.in_order
        return made, [replace(call, replayed=True) for call in asked.ledger.since(0)]


def stops(path: Path) -> list[Data]:
    return [entry for entry in read(path) if entry["kind"] == STOPPED]


@pytest.mark.parametrize("hook", ["brief", "observe"])
def test_a_hook_that_ran_out_of_time_fails_again_without_waiting(hook: str, tmp_path: Path) -> None:
    path, again = tmp_path / "j.jsonl", tmp_path / "again.jsonl"
    rest = NOTING if hook == "brief" else "return None"
    live, _ = searched(path, slow(ENDLESS, hook=hook, rest=rest))
    [stop] = stops(path)
    place = {"brief": 5, "observe": 4}[hook]  # the view of an observer is the next trial's
    assert (stop["key"], stop["data"]["kind"]) == (f"L1/T{place}/slow/{hook}/0", "TimeLimit")
    [failed] = [r for r in live.pipeline.ledger.rows("slow") if r.effect is Effect.ERROR]
    assert failed.trial == place
    assert failed.error.startswith("TimeLimit: ")
    # with a limit that would outlast the test: it is not called where it was stopped
    lines = path.read_text().splitlines(keepends=True)
    at = next(i for i, line in enumerate(lines) if json.loads(line)["kind"] == STOPPED)
    for cut in (len(lines), at + 1):
        again.write_text("".join(lines[:cut]))
        repeated, _ = searched(again, slow(ENDLESS, call_s=3600.0, hook=hook, rest=rest))
        assert projection(read(again)) == projection(read(path))
        assert [*repeated.trace] == [*live.trace]


def test_after_a_stop_it_goes_on_with_the_state_of_its_last_answer(tmp_path: Path) -> None:
    ran, _ = searched(tmp_path / "j.jsonl", slow(ENDLESS))
    assert isinstance(ran._proposer, Listed)
    said = [brief.text for brief in ran._proposer.briefs]
    assert said == ["seen 1", "seen 2", "seen 3", "seen 4", "", "seen 5", "seen 6"]


@pytest.mark.parametrize("kept", [1, 3])
def test_an_answer_that_was_recorded_and_does_not_come_again_ends_the_execution(
    kept: int, tmp_path: Path
) -> None:
    """Whatever was recorded after the answer: an outcome, or the whole trial."""
    whole, path = tmp_path / "whole.jsonl", tmp_path / "j.jsonl"
    searched(whole, slow("pass"))
    lines = whole.read_text().splitlines(keepends=True)
    at = next(i for i, line in enumerate(lines) if json.loads(line)["key"] == "L1/T5")
    path.write_text("".join(lines[: at + kept]))
    before = path.read_bytes()
    with pytest.raises(JournalError, match=r"had an answer at L1/T5/slow/brief .*sandbox\.call_s"):
        searched(path, slow(ENDLESS))
    assert path.read_bytes() == before
    searched(path, slow("pass"))
    assert projection(read(path)) == projection(read(whole))


@pytest.mark.parametrize(
    ("body", "replies"),
    [
        (ASK_FIRST, ['{"heard": 1}', '{"seen": 1}']),
        (ASK_ENDLESSLY, ['{"seen": 1}']),
    ],
)
def test_what_a_stopped_hook_asked_is_asked_again_and_charged_alike(
    body: str, replies: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "j.jsonl"
    app = Canned(*replies)
    live, calls = searched(path, slow(body), app)
    assert len(stops(path)) == 1
    assert len(app.requests) == len(replies)
    whole = path.read_bytes()
    silent = Canned("nobody is asked")
    repeated, charged = searched(path, slow(body, call_s=3600.0), silent)
    assert not silent.requests
    assert charged == calls
    assert path.read_bytes() == whole
    assert [*repeated.trace] == [*live.trace]

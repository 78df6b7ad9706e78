"""Hooks that fail, lie or do nothing: recorded, stepped over, and never silent."""

from collections.abc import Sequence
from typing import Any

import pytest

from bilevel.errors import BudgetExhausted
from bilevel.journal import projection
from bilevel.ledger import Effect, Liveness
from bilevel.mechanism import HOOKS, Mechanism
from bilevel.trace import Proposal, Trial
from bilevel.view import Brief, View
from tests.helpers import loop

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

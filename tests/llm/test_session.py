"""A search's conversation: journalled, replayed without calls, repaired once, charged, capped."""

from pathlib import Path
from typing import Any

import pytest

from bilevel.errors import BudgetExhausted, EndpointRefused, JournalError
from bilevel.journal import Journal, read
from tests.llm.support import KEY, SCHEMA, Canned, body, contents, reply, session


def positive(value: Any) -> Any:
    if value["x"] <= 0:
        raise ValueError("x has to be positive")
    return value["x"]


def test_an_answer_and_what_is_kept_of_it() -> None:
    app = Canned(reply(x=3))
    made = session(app, temperature=0.4, price_per_mtok_in=1e6, price_per_mtok_out=2e6)
    answer = made.asker(1, 4, "propose")("How much?", SCHEMA, check=positive, system="Be brief.")
    assert (answer.value, answer.problem) == (3, "")
    assert answer.texts == ('{"x": 3}',)
    assert len(answer.prompt) == 16
    (call,) = made.ledger.calls
    assert (call.key, call.level, call.trial) == ("L1/T4/propose/0", 1, 4)
    assert (call.prompt_tokens, call.completion_tokens, call.usd) == (11, 7, 11 + 14)
    assert (call.replayed, call.problem, call.attempts) == (False, "", 1)
    system, user = call.messages
    assert system == {"role": "system", "content": "Be brief."}
    assert user["content"].startswith("How much?\n")
    assert '"additionalProperties":false' in user["content"]
    assert app.requests[0]["temperature"] == 0.4
    assert 0 <= app.requests[0]["seed"] < 2**31
    made.close()


def test_every_question_has_a_key_and_a_seed_of_its_own() -> None:
    app = Canned(reply(x=1))
    made = session(app)
    for place in ((1, 1, "a"), (1, 1, "a"), (1, 2, "a"), (2, 1, "a"), (1, 1, "b")):
        made.asker(*place)("?", SCHEMA)
    keys = [call.key for call in made.ledger.calls]
    assert keys == ["L1/T1/a/0", "L1/T1/a/1", "L1/T2/a/0", "L2/T1/a/0", "L1/T1/b/0"]
    assert len({request["seed"] for request in app.requests}) == 5
    other = Canned(reply(x=1))
    session(other, seed=2).asker(1, 1, "a")("?", SCHEMA)
    assert other.requests[0]["seed"] != app.requests[0]["seed"]


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        ("I would rather not.", "no JSON object"),
        ('{"x": 1', "broken"),
        ('{"x": "2**12"}', "must satisfy"),
        ('{"x": NaN}', "NaN"),
        ('{"x": -1}', "positive"),
        ("", "empty"),
        ("x" * 300_000, "longer than"),
        ("half \ud800", "no JSON object"),
        (body('{"x": ', finish="length"), "max_tokens"),
    ],
)
def test_one_repair_round_is_told_the_reason(first: Any, reason: str) -> None:
    app = Canned(first, reply(x=2))
    made = session(app)
    answer = made.asker(1, 1, "p")("Question $5", SCHEMA, check=positive)
    assert answer.value == 2
    assert len(answer.texts) == 2
    repair = app.requests[1]["messages"]
    assert [message["role"] for message in repair] == ["user", "assistant", "user"]
    assert reason in repair[-1]["content"]
    assert len(repair[1]["content"]) < 5_000
    assert [bool(call.problem) for call in made.ledger.calls] == [True, False]
    assert made.ledger.calls[1].key == "L1/T1/p/0/repair"


def test_two_unusable_replies_are_a_problem_and_no_error() -> None:
    app = Canned('{"x": -1}')
    answer = session(app).asker(1, 1, "p")("?", SCHEMA, check=positive)
    assert answer.value is None
    assert answer.problem == "x has to be positive"
    assert len(app.requests) == 2


def test_replay_makes_no_calls_and_gives_the_same_answers(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    first, second = Canned("no", reply(x=5), reply(x=6)), Canned(reply(x=99))
    answers: list[list[Any]] = []
    spent = []
    for app in (first, second):
        with Journal(path) as journal, session(app, journal) as made:
            ask = made.asker(1, 1, "p")
            answers.append([ask("one", SCHEMA), ask("two", SCHEMA, temperature=0.1)])
            spent.append((made.ledger.total.calls, made.ledger.total.tokens))
            assert all(call.replayed == (app is second) for call in made.ledger.calls)
    assert answers[0] == answers[1]
    assert spent[0] == spent[1] == (3, 54)
    assert len(first.requests) == 3
    assert not second.requests
    assert KEY not in path.read_text()
    assert set(read(path)[0]["data"]["clock"]) == {"seconds", "attempts", "waited_s"}


def test_another_prompt_under_a_recorded_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        session(Canned(reply(x=1)), journal).asker(1, 1, "p")("one", SCHEMA)
    with Journal(path) as journal, pytest.raises(JournalError):
        session(Canned(reply(x=1)), journal).asker(1, 1, "p")("changed", SCHEMA)


def test_address_and_patience_may_differ_on_resume(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        session(Canned(reply(x=1)), journal).asker(1, 1, "p")("one", SCHEMA)
    with Journal(path) as journal:
        moved = session(Canned("x"), journal, base_url="http://elsewhere/v1", timeout_s=1)
        assert moved.asker(1, 1, "p")("one", SCHEMA).value == {"x": 1}


@pytest.mark.parametrize(
    ("cap", "calls"),
    [({"max_calls": 2}, 2), ({"max_total_tokens": 30}, 2), ({"max_usd": 5e-5}, 3)],
)
def test_caps_end_a_search_live_and_replayed(
    cap: dict[str, Any], calls: int, tmp_path: Path
) -> None:
    path = tmp_path / "journal.jsonl"
    for expected_live in (calls, 0):
        app = Canned(reply(x=1))
        with Journal(path) as journal:
            made = session(app, journal, price_per_mtok_in=1, price_per_mtok_out=1, **cap)
            ask = made.asker(1, 1, "p")
            for _ in range(calls):
                ask("?", SCHEMA)
            with pytest.raises(BudgetExhausted, match=f"raise llm.{next(iter(cap))}"):
                ask("?", SCHEMA)
        assert len(app.requests) == expected_live


def test_a_cap_also_stops_the_repair_round() -> None:
    made = session(Canned("no"), max_calls=1)
    with pytest.raises(BudgetExhausted, match="1 of 1 calls"):
        made.asker(1, 1, "p")("?", SCHEMA)
    assert len(made.ledger) == 1


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"schema": {"$ref": "file:///etc/passwd"}}, "unsupported"),
        ({"temperature": float("nan")}, "temperature"),
        ({"temperature": 9.0}, "temperature"),
        ({"prompt": "x" * 500_000}, "longer than"),
    ],
)
def test_questions_that_no_server_takes_are_not_sent(
    arguments: dict[str, Any], reason: str
) -> None:
    app = Canned(reply(x=1))
    made = session(app)
    answer = made.asker(1, 1, "m")(**{"prompt": "?", "schema": SCHEMA, **arguments})
    assert reason in answer.problem
    assert not app.requests
    assert not made.ledger.calls


def test_half_a_surrogate_pair_in_a_prompt_is_replaced() -> None:
    app = Canned(reply(x=1))
    assert session(app).asker(1, 1, "m")("odd \ud800 prompt", SCHEMA).value == {"x": 1}
    assert "odd ? prompt" in contents(app.requests)[0]


def test_what_failed_for_good_is_not_recorded(tmp_path: Path) -> None:
    def refuse(request: dict[str, Any]) -> dict[str, Any]:
        raise ValueError("no")

    with Journal(tmp_path / "journal.jsonl") as journal:
        made = session(refuse, journal)
        with pytest.raises(EndpointRefused):
            made.asker(1, 1, "p")("?", SCHEMA)
        assert not journal.has("reply")
        assert not made.ledger.calls


def test_the_ledger_adds_up() -> None:
    made = session(Canned("no", reply(x=1)))
    made.asker(1, 1, "propose/0")("?", SCHEMA)
    made.asker(1, 2, "propose/1")("?", SCHEMA)
    made.asker(2, 1, "propose/0")("?", SCHEMA)
    totals = made.ledger.totals()
    assert {key: part.calls for key, part in totals.items()} == {
        (1, "propose"): 3,
        (2, "propose"): 1,
    }
    assert totals[1, "propose"].unusable == 1
    assert made.ledger.total.tokens == 4 * 18
    assert [call.key for call in made.ledger.since(3)] == ["L2/T1/propose/0/0"]

"""The journal: nothing it holds is asked for again, and a cut line costs only itself."""

import errno
import json
import multiprocessing
import os
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bilevel.errors import JournalError, SearchRunning, Unrecorded
from bilevel.journal import Journal, Recording, mend, projection, read, salvaged

finite = st.floats(allow_nan=False, allow_infinity=False)
plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(
    answers=st.lists(st.dictionaries(st.text(max_size=5), plain), max_size=8), cut=st.integers(0)
)
def test_a_journal_cut_anywhere_continues_to_the_same_answers(
    answers: list[dict[str, object]], cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal.jsonl"

    def run() -> list[dict[str, object]]:
        with Journal(path, clock=lambda: 0.0) as journal:
            return [journal.once("a", str(n), partial(dict, v)) for n, v in enumerate(answers)]

    unbroken = run()
    whole = path.read_bytes()
    path.write_bytes(whole[: cut % (len(whole) + 1)])
    assert run() == unbroken
    assert path.read_bytes() == whole


def test_recorded_answers_are_not_produced_again(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.once("reply", "1", lambda: {"text": "hello"}, request={"q": 1}, durable=True)
    with Journal(path) as journal:
        answer = journal.once("reply", "1", lambda: pytest.fail("asked again"), request={"q": 1})
        assert answer == {"text": "hello"}
        with pytest.raises(JournalError, match="another request"):
            journal.once("reply", "1", lambda: {}, request={"q": 2})


def test_a_note_that_re_execution_does_not_reproduce_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.note("trial", "1", {"value": 1.0, "tuple": (1, 2), "clock": {"s": 1}})
    with Journal(path) as journal:
        journal.note("trial", "1", {"value": 1.0, "tuple": (1, 2), "clock": {"s": 2}})
        with pytest.raises(JournalError, match="disagrees at trial 1"):
            journal.note("trial", "1", {"value": 2.0, "tuple": (1, 2), "clock": {"s": 1}})


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.once("a", "1", lambda: {})
        journal.once("a", "2", lambda: {})
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0][:-5], lines[1]]) + "\n")
    with pytest.raises(JournalError, match="line 1 is damaged"), Journal(path):
        pass


def hold(path: Path, held: object, release: object) -> None:
    with Journal(path):
        held.set()  # type: ignore[attr-defined]
        release.wait()  # type: ignore[attr-defined]


def test_a_second_process_is_refused_with_the_first_one_s_pid(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    spawn = multiprocessing.get_context("spawn")
    held, release = spawn.Event(), spawn.Event()
    first = spawn.Process(target=hold, args=(path, held, release))
    first.start()
    assert held.wait(30)
    with pytest.raises(SearchRunning, match=str(first.pid)), Journal(path):
        pass
    release.set()
    first.join()
    with Journal(path):
        pass


def test_a_refused_second_holder_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.once("a", "1", lambda: {"x": 1})
        with pytest.raises(SearchRunning), Journal(path):
            pass
        journal.once("a", "2", lambda: {"x": 2})
    assert [entry["data"]["x"] for entry in read(path)] == [1, 2]


def test_the_projection_leaves_times_out() -> None:
    data = {"clock": 1, "data": {"value": 1, "clock": {"wall_s": 3}, "rows": [{"clock": 1}]}}
    assert projection(data) == {"data": {"value": 1, "rows": [{}]}}
    assert json.dumps(projection(data))


@given(
    answers=st.lists(st.dictionaries(st.text(max_size=5), plain), min_size=1, max_size=8),
    place=st.integers(0),
    garbage=st.binary(max_size=12).filter(lambda raw: b"\n" not in raw),
)
def test_a_damaged_line_costs_only_itself(
    answers: list[dict[str, object]],
    place: int,
    garbage: bytes,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal.jsonl"
    produced: list[int] = []

    def run() -> list[dict[str, object]]:
        def produce(number: int) -> dict[str, object]:
            produced.append(number)
            return answers[number]

        with Journal(path, clock=lambda: 0.0, recording=salvaged(path)) as journal:
            return [
                journal.once("a", str(n), partial(produce, n), request={"n": n})
                for n in range(len(answers))
            ]

    unbroken, lost = run(), place % len(answers)
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:lost], garbage + b"\n", *lines[lost + 1 :]]))
    produced.clear()
    with pytest.raises(JournalError, match=f"line {lost + 1} is damaged"):
        run()
    assert mend(path) is not None
    assert run() == unbroken
    assert produced == [lost]
    assert path.read_bytes() == whole
    assert mend(path) is None


def test_an_entry_that_cannot_be_written_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal.jsonl"
    real, room = os.write, [60]

    def full(descriptor: int, payload: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        part = payload[: room[0]]
        room[0] -= len(part)
        return real(descriptor, part)

    with Journal(path) as journal:
        journal.once("a", "1", lambda: {"x": 1})
        before = path.read_bytes()
        with monkeypatch.context() as patch:
            patch.setattr("bilevel.journal.os.write", full)
            with pytest.raises(JournalError, match=r"No space left on device.*make room there"):
                journal.once("a", "2", lambda: {"x": 2})
        assert path.read_bytes() == before
        assert journal.once("a", "2", lambda: {"x": 3}) == {"x": 3}
    assert [entry["data"]["x"] for entry in read(path)] == [1, 3]


def test_a_recording_answers_only_the_very_same_question(tmp_path: Path) -> None:
    with Journal(tmp_path / "first.jsonl") as first:
        first.once("reply", "1", lambda: {"x": 1}, request={"q": 1})
        first.once("search", "id", lambda: {"x": "mine"})
    recording = Recording(read(tmp_path / "first.jsonl"))
    with Journal(tmp_path / "second.jsonl", recording=recording) as second:
        assert second.holds("reply", "1", {"q": 1})
        assert not second.holds("reply", "1", {"q": 2})
        assert second.once("reply", "1", lambda: {"x": 2}, request={"q": 1}) == {"x": 1}
        assert second.once("search", "id", lambda: {"x": "own"}) == {"x": "own"}
    with Journal(tmp_path / "third.jsonl", recording=recording) as third:
        assert third.once("reply", "1", lambda: {"x": 2}, request={"q": 2}) == {"x": 2}


def test_a_sealed_copy_produces_nothing_and_knows_its_order(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.once("a", "1", lambda: {"x": 1})
        journal.note("b", "1", {"y": 1})

    def produce() -> dict[str, object]:
        raise AssertionError("produced")

    size = path.stat().st_size
    sealed = Journal.sealed_copy(path)
    orders = [sealed.in_order]
    assert sealed.once("a", "1", produce) == {"x": 1}
    sealed.note("b", "1", {"y": 1})
    orders.append(sealed.in_order)
    with pytest.raises(Unrecorded, match="ends before a 2"):
        sealed.once("a", "2", produce)
    assert [*orders, sealed.in_order] == [False, True, True]
    assert path.stat().st_size == size

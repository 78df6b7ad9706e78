"""The measure command: it goes on where it was stopped, and tells what comes out otherwise."""

import json
from pathlib import Path

import pytest

from bilevel.commands.measure import is_same, main
from bilevel.tasks.measured import records
from bilevel.tasks.measured.records import Measurement
from bilevel.tasks.surrogate import Surrogate

NOISY = ("task=noisy", "tracking=none")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def only(folder: Path, ending: str = "") -> Path:
    [path] = folder.glob(f"mlruns/measured/noisy-????????????{ending}/measured.jsonl")
    return path


def test_what_was_stopped_goes_on_and_comes_to_what_an_unbroken_one_comes_to(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate, ran = Surrogate.evaluate, list[int]()

    def stopped_at_the_fifteenth(self: Surrogate, *given: object) -> object:
        ran.append(1)
        if len(ran) == 15:
            raise KeyboardInterrupt
        return evaluate(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(Surrogate, "evaluate", stopped_at_the_fifteenth)
    assert main([*NOISY, "count=30"]) == 130
    assert len(records.read(only(here))) == 14
    assert main([*NOISY, "count=30"]) == 0
    assert len(ran) == 31  # the one that was stopped was asked for twice
    assert "30 new" in capsys.readouterr().out
    stopped = only(here)
    assert main([*NOISY, "count=30", "results=other"]) == 0
    [whole] = here.glob("other/measured/*/measured.jsonl")
    without_time = [
        [{**m.to_json(), "wall_s": 0} for m in records.read(p)] for p in (stopped, whole)
    ]
    assert without_time[0] == without_time[1]
    made_with = json.loads(stopped.with_name("provenance.json").read_text())
    assert made_with["measured"] == 30
    assert made_with["task"]["name"] == "noisy"


def test_known_ones_are_not_made_again_and_measured_again_they_come_out_the_same(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*NOISY, "count=10"]) == 0
    first = only(here).rename(here / "known.jsonl")
    assert main([*NOISY, "count=15", f"known={first}"]) == 0
    assert "10 known measurements, 5 new" in capsys.readouterr().out
    assert main([*NOISY, "again=8", f"known={first}"]) == 0
    assert "8 of 8 came out the same" in capsys.readouterr().out
    monkeypatch.setattr(Surrogate, "evaluate", lambda self, *given: _worse(evaluate(self, *given)))
    assert main([*NOISY, "again=9", f"known={first}"]) == 2
    assert "0 of 9" not in capsys.readouterr().out  # eight are in the journal of before


evaluate = Surrogate.evaluate


def _worse(outcome: object) -> object:
    from dataclasses import replace

    return replace(outcome, value=outcome.value + 1e-6)  # type: ignore[attr-defined,type-var]


def test_the_last_digit_that_was_written_counts() -> None:
    was = Measurement({}, 1, "fill", 1.23457)
    assert is_same(Measurement({}, 1, "fill", 1.234567891), was)
    assert not is_same(Measurement({}, 1, "fill", 1.23458), was)
    assert not is_same(Measurement({}, 1, "fill", None, "crash"), was)
    small = Measurement({}, 1, "fill", 1.23e-07)
    assert is_same(small, small)
    assert not is_same(Measurement({}, 1, "fill", 1.24e-07), small)
    crashed = Measurement({}, 1, "fill", None, "crash")
    assert is_same(crashed, crashed)
    assert not is_same(Measurement({}, 1, "fill", None, "timeout"), crashed)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("count=few", "count=few: expected a whole number"),
        ("again=5", "again=5 needs known=FILE.jsonl"),
        ("known=nowhere.jsonl", "nowhere.jsonl cannot be read"),
        ("seeds=1,x", "seeds=x: expected a whole number"),
    ],
)
def test_what_cannot_be_is_told(given: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*NOISY, given]) == 2
    assert told in capsys.readouterr().err


def test_known_ones_of_another_task_are_refused(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = here / "other.jsonl"
    records.write(other, [Measurement({"UNHEARD_OF": 1.0}, 101, "fill", 1.0)])
    assert main([*NOISY, f"known={other}", "count=3"]) == 2
    assert "UNHEARD_OF" in capsys.readouterr().err


def test_in_another_world_it_does_not_go_on_but_may_start_over(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Surrogate, "world", lambda self: {"processor": "one"})
    assert main([*NOISY, "count=3"]) == 0
    monkeypatch.setattr(Surrogate, "world", lambda self: {"processor": "another"})
    assert main([*NOISY, "count=5"]) == 2
    assert "processor: was one, now another" in capsys.readouterr().err
    assert main([*NOISY, "count=5", "fresh=true"]) == 0

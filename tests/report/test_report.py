"""A report reads what the tracker wrote, and says what it leaves out."""

import csv
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

import bilevel.report as reporting
from bilevel.commands.report import main
from bilevel.config.arms import Role
from bilevel.report import report
from bilevel.tracking import MlflowTracker, content
from tests.tracking.studies import info, mechanism, records, run_search


@pytest.fixture
def studied(uri: str) -> str:
    """Two arms: A with seeds 1 and 2, B with one seed cut off, and a superseded search."""
    tracker = MlflowTracker(uri)
    for seed in (1, 2):
        run_search(tracker, "A", seed, trials=4)
    run_search(tracker, "B", 1, trials=2, end="")
    run_search(tracker, "C", 1, trials=1)
    tracker.supersede("demo", "C", 1)
    assert tracker.problem == ""
    return uri


def test_a_report_agrees_with_what_was_told(studied: str, tmp_path: Path) -> None:
    screen = StringIO()
    result = report("demo", studied, tmp_path / "out", Console(file=screen, width=170))
    assert [(arm.arm, arm.n, arm.unfinished) for arm in result.arms] == [("A", 2, 0), ("B", 1, 1)]
    for row in result.searches:
        told = list(records(row.arm, row.seed, row.trials))
        assert row.baseline == told[0].trial.value
        assert row.curve == tuple(record.best for record in told)
        assert row.kept == sum(record.trial.kept for record in told[1:])
        assert row.distinct_moves == len({m for record in told[1:] for m in record.trial.moves})
        assert row.tokens == 940.0 * row.trials
    assert result.stand_in
    said = screen.getvalue()
    assert "Study demo (stand-in model: scripted)" in said
    assert "1 (1 unfinished)" in said
    assert "B seed 1 (2 trials)" in said
    assert "viewStateShareKey=searches" in said
    assert f"mlflow ui --backend-store-uri {studied} --workers 1" in said
    assert result.figures[0].read_bytes().startswith(b"\x89PNG")
    with (tmp_path / "out" / "searches.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [(line["arm"], line["seed"], line["state"]) for line in lines] == [
        ("A", "1", "done"), ("A", "2", "done"), ("B", "1", "unfinished"),
    ]  # fmt: skip
    assert len((tmp_path / "out" / "arms.csv").read_text().splitlines()) == 3


def test_values_are_read_under_the_name_of_earlier_versions_too(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_search(MlflowTracker(uri), "A", 1, trials=4)
    monkeypatch.setattr(content, "VALUE", content.FORMERLY)
    run_search(MlflowTracker(uri), "B", 1, trials=4)
    now, then = report("demo", uri, tmp_path / "out").searches
    assert then.curve == tuple(record.best for record in records("B", 1, 4))
    assert now.curve == tuple(record.best for record in records("A", 1, 4))


def test_a_dead_mechanism_stands_in_the_report(uri: str, tmp_path: Path) -> None:
    tracker = MlflowTracker(uri)
    run_search(tracker, "A", 1, trials=2)
    tracker.mechanisms([mechanism("dead")])
    screen = StringIO()
    report("demo", uri, tmp_path, Console(file=screen, width=170))
    assert f"mechanism {mechanism().name} in A: DEAD in 1 of its searches" in screen.getvalue()


def test_results_of_a_real_model_have_no_such_title(uri: str, tmp_path: Path) -> None:
    tracker = MlflowTracker(uri)
    tracker.start(info(llm="deepseek-chat"))
    tracker.trial(next(records("A", 1)))
    screen = StringIO()
    assert not report("demo", uri, tmp_path, Console(file=screen, width=170)).stand_in
    assert "stand-in" not in screen.getvalue()


def test_an_unknown_study_lists_those_there_are(
    studied: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["study=dem", f"tracking.uri={studied}"]) == 2
    assert "studies there: demo" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "study=... is missing"),
        (["demo"], "'demo' is not an option"),
        (["study=demo", "seed=1"], "'seed=1' is not an option"),
    ],
)
def test_a_wrong_command_shows_the_right_one(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "usage: python -m bilevel report study=NAME" in told


def test_no_database_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study=demo", f"tracking.uri=sqlite:///{tmp_path}/none.db"]) == 2
    assert "nothing was ever tracked" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_study_without_a_search_is_told(uri: str, capsys: pytest.CaptureFixture[str]) -> None:
    MlflowTracker(uri).supersede("demo", "A", 1)
    assert main(["study=demo", f"tracking.uri={uri}"]) == 2
    assert "holds no search" in capsys.readouterr().err


def test_the_command_writes_where_it_is_told(
    studied: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["study=demo", f"tracking.uri={studied}", f"out={tmp_path}/here"]) == 0
    assert (tmp_path / "here" / "report.html").exists()
    assert "stand-in model: scripted" in capsys.readouterr().out


def test_the_command_tells_every_option_it_takes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    first, *_, usage = capsys.readouterr().out.splitlines()
    assert first == f"`{usage.removeprefix('usage: ')}`."
    assert usage.removeprefix("usage: ") in (reporting.__doc__ or "")
    assert "results=DIR" in usage


def test_seeds_that_share_a_memory_are_told_beside_their_numbers(uri: str, tmp_path: Path) -> None:
    tracker = MlflowTracker(uri)
    for arm, shared in (("level1", ""), ("study", "baseline.memory=study")):
        for seed in (1, 2):
            settings = {"budget_s": 5}
            tracker.start(info(arm, seed, model="m at 1", dependent_seeds=shared,
                               task_settings=settings))  # fmt: skip
            for record in records(arm, seed, 1, calls=False):
                tracker.trial(record)
            tracker.end("done", {"confirmed_delta": -0.01 * seed})
    screen = StringIO()
    result = report("demo", uri, tmp_path, Console(file=screen, width=170))
    said = "seeds of study share a memory (baseline.memory=study) and are no independent repeats"
    assert {one.refusal for one in result.comparisons} == {said}
    assert f"{said}: no interval and no test" in screen.getvalue()
    page = result.page.read_text(encoding="utf-8")
    assert f"{said.capitalize()}: no interval and no test." in page
    assert page.count("no interval: no repeats") == 2
    assert {row.task_settings for row in result.searches} == {'{"budget_s":5}'}
    assert {(row.model, row.fingerprint) for row in result.searches} == {("m at 1", "f00d")}


def test_arms_are_compared_by_the_role_they_were_tracked_with(uri: str, tmp_path: Path) -> None:
    """An older search, that has none, by what the file of its arm says."""
    tracker = MlflowTracker(uri)
    mine = Role("classical", 99).to_tag()
    for arm, role in (("level1", ""), ("mine", mine), ("tabu", "{}"), ("sham", "{}")):
        for seed in (1, 2):
            tracker.start(info(arm, seed, role=role))
            for record in records(arm, seed, 1, calls=False):
                tracker.trial(record)
            tracker.end("done", {"confirmed_delta": -0.01 * seed})
    result = report("demo", uri, tmp_path, Console(file=StringIO(), width=170))
    pairs = {(one.arm, one.control) for one in result.comparisons}
    assert pairs == {
        *(("tabu", "level1"), ("tabu", "mine"), ("sham", "level1"), ("sham", "mine")),
        ("mine", "level1"),
    }
    assert result.strongest is not None
    assert result.strongest.of == ("mine",)
    assert "cmaes, gp, smac, mine" in result.page.read_text(encoding="utf-8")


def test_seeds_that_reach_nothing_are_told_beside_their_numbers(uri: str, tmp_path: Path) -> None:
    """As searches say it, and as older ones show it: a delta that fresh seeds do not change."""
    tracker = MlflowTracker(uri)
    old = {"confirmed_delta": -0.0043, "confirmed_n": 5.0, "confirmed_sd": 0.0}
    good = {"confirmed_delta": -0.0043, "confirmed_n": 5.0, "confirmed_sd": 0.001}
    for arm, totals in (("level1", good), ("said", {"seed_reaches": 0.0}), ("shown", old)):
        for seed in range(1, 7):
            tracker.start(info(arm, seed))
            for record in records(arm, seed, 1, calls=False):
                tracker.trial(record)
            tracker.end("done", totals)
    screen = StringIO()
    result = report("demo", uri, tmp_path, Console(file=screen, width=170))
    said = "reach nothing (measured again, all is the same to the last digit)"
    found = {row.arm: row for row in result.arms}
    for arm in ("said", "shown"):
        assert (found[arm].confirmed_delta, found[arm].confirmed_n) == (None, 0)
        assert found[arm].delta_interval is None
        assert f"seeds of {arm} {said}: no interval and no test" in screen.getvalue()
    assert {one.refusal for one in result.comparisons} == {
        f"seeds of {arm} {said}" for arm in ("said", "shown")
    }
    page = result.page.read_text(encoding="utf-8")
    assert page.count(f"{said}: no interval and no test.") == 2
    assert page.count("nothing confirmed") == 2


def test_the_headline_is_the_p_of_the_study_on_console_and_page(uri: str, tmp_path: Path) -> None:
    tracker = MlflowTracker(uri)
    for place, arm in enumerate(("level1", "bilevel", "random", "tpe")):
        for seed in range(1, 9):
            tracker.start(info(arm, seed))
            for record in records(arm, seed, 1, calls=False):
                tracker.trial(record)
            better = -0.02 if arm == "bilevel" else 0.0
            delta = better - 0.001 * ((3 * seed + place) % 5)
            tracker.end("done", {"confirmed_delta": delta, "confirmed_n": 5.0})
    screen = StringIO()
    result = report("demo", uri, tmp_path, Console(file=screen, width=200))
    said, page = screen.getvalue(), result.page.read_text(encoding="utf-8")
    told = [one for one in result.comparisons if one.verdict]
    assert [(one.arm, one.control, one.verdict) for one in told] == [
        ("bilevel", "level1", "better"), ("bilevel", "random", "better"),
        ("bilevel", "tpe", "better"), ("random", "level1", "not told apart"),
        ("tpe", "level1", "not told apart"),
    ]  # fmt: skip
    assert all(one.p_holm_study == pytest.approx(5 * 2 / 2**8) for one in told[:3])
    assert "p of the study" in said
    assert "corrected (Holm) for all 5 comparisons of the study" in said
    assert "corrected (Holm) for all 5 comparisons below" in page
    strongest = result.strongest
    assert strongest is not None
    assert strongest.arm in ("random", "tpe")
    assert f"strongest classical search: {strongest.arm}" in " ".join(said.split())
    assert f"Strongest classical search: {strongest.arm}" in page
    assert f"{strongest.arm} (strongest)" in said
    assert page.count('class="text head">better') == 3
